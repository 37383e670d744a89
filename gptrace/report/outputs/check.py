"""`gptrace check`: each check with its mark; below a ✗ the line, the likely mistake and the remedy."""

from __future__ import annotations

from collections.abc import Sequence

from gptrace.record import Check, CheckResult
from gptrace.report.common_parts import (
    MARKS,
    kept_language_parts,
    model_facts,
    note_parts,
    source_place,
)
from gptrace.report.parts import Facts, Line, Part, Table, line
from gptrace.report.safe_text import visible
from gptrace.report.table_data import Column, TableData
from gptrace.report.view import View
from gptrace.translation import words
from gptrace.wording import bracketed

_COLUMNS = [
    Column("mark", "", lambda holds: MARKS[holds][0], role_of=lambda holds: MARKS[holds][1]),
    Column("name", words("Check")),
    Column("text", words("Result"), is_prose=True),
]


def parts(check: Check, view: View) -> list[Part]:
    """Return the header, the list of checks, and a part for each one that fails."""
    summary = Table(TableData(_COLUMNS, [_row(result) for result in check.checks]), name=words("Checks"))
    by_line: dict[object, list[CheckResult]] = {}
    for result in check.failed:
        key = (*_place(result), _cell(result)) if result.source is not None else result.name
        by_line.setdefault(key, []).append(result)
    details = [_details(results) for results in by_line.values()]
    kept = kept_language_parts(check, check.language, view)
    return [Facts(model_facts(check.model)[:1]), *note_parts(check.notes), *kept, summary, *details]


def csv_table(check: Check, view: View) -> TableData:
    """Return one row for each check."""
    names = (
        "name", "holds", "sentence", "figure", "tolerance", "reason", "path", "file", "line", "text",
        "likely", "instead", "cell",
    )  # fmt: skip
    rows = [
        (
            result.name, result.holds, result.sentence, result.figure, result.tolerance, result.reason,
            result.path, *_place(result), result.likely, result.instead, _cell(result),
        )
        for result in check.checks
    ]  # fmt: skip
    return TableData.plain(names, rows)


def _place(result: CheckResult) -> tuple[object, object, object]:
    source = result.source
    return ("", "", "") if source is None else (source.file, source.line, source.text)


def _cell(result: CheckResult) -> int | None:
    return None if result.source is None else result.source.cell


def _row(result: CheckResult) -> tuple[bool | None, str, str]:
    text = result.reason if result.holds is None else result.sentence
    return result.holds, visible(result.name), visible(text)


def _figure(result: CheckResult) -> str:
    """Return what was measured, and what it was held against."""
    if result.figure is None:
        return ""
    figure = f"{result.figure:.4g}"
    if not result.tolerance:
        return f"  ({figure})"
    return words("  ({}, held against {})", figure, f"{result.tolerance:.3g}")


def _details(results: Sequence[CheckResult]) -> Part:
    """Return what is known of the checks that fail for one line."""
    result = results[0]
    pairs: list[tuple[str, Line]] = [
        (f"✗ {visible(each.name)}", ((visible(each.sentence), "fails"), (_figure(each), "quiet")))
        for each in results
    ]
    if result.source is not None:
        source = result.source
        function = f" ({visible(source.function)})" if source.function else ""
        pairs += [
            (words("line"), ((source_place(source.file, source.line, source.cell), ""), (function, ""))),
            ("", line(f"    {visible(result.source.text)}", "code")),
        ]
    if result.before or result.after:
        axes = f"{result.operation} {bracketed(result.before)} → {bracketed(result.after)}"
        pairs.append((words("axes"), line(visible(f"{result.path} {axes}".strip()))))
    if result.likely:
        pairs.append((words("likely"), line(visible(result.likely))))
    if result.instead:
        pairs.append((words("instead"), line(visible(result.instead), "figures")))
    return Facts(pairs)
