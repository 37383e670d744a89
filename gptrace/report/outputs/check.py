"""`gptrace check`: each check with its mark; below a ✗ the line, the likely mistake and the remedy."""

from __future__ import annotations

from collections.abc import Sequence

from gptrace.record import Check, CheckResult
from gptrace.report.common_parts import (
    MARKS,
    configuration_facts,
    kept_language_parts,
    model_facts,
    note_parts,
    source_place,
)
from gptrace.report.parts import Facts, Line, Lines, Part, Table, line
from gptrace.report.safe_text import visible
from gptrace.report.table_data import Column, TableData
from gptrace.report.view import View
from gptrace.translation import joined, words
from gptrace.wording import bracketed

# What the figure of a check is: the difference of two outputs, or a distance from what it should be.
_DIFFERENCES = ("causal", "batch", "padding", "deterministic", "cache", "devices", "dtypes")
_DISTANCES = ("start-loss", "loss-labels", "gradients")
_MANY = 3  # checks with the same reason
_COLUMNS = [
    Column("mark", "", lambda holds: MARKS[holds][0], role_of=lambda holds: MARKS[holds][1]),
    Column("name", words("Check")),
    Column("text", words("Result"), is_prose=True),
]


def parts(check: Check, view: View) -> list[Part]:
    """Return the header, the list of checks, and a part for each one that fails."""
    summary = Table(TableData(_COLUMNS, _rows(check.checks)), name=words("Checks"))
    by_line: dict[object, list[CheckResult]] = {}
    for result in check.failed:
        key = (*_place(result), _cell(result)) if result.source is not None else result.name
        by_line.setdefault(key, []).append(result)
    details = [_details(results) for results in by_line.values()]
    kept = kept_language_parts(check, check.language, view)
    verdict = Lines([line(_verdict(check), "strong" if check else "fails")])
    facts = [*model_facts(check.model)[:1], *configuration_facts(check.model)]
    return [Facts(facts), *note_parts(check.notes), *kept, summary, *details, verdict]


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


def _rows(results: Sequence[CheckResult]) -> list[tuple[bool | None, str, str]]:
    """Return a row for each check, and one for all that cannot be judged for the same reason."""
    alike: dict[str, list[CheckResult]] = {}
    for result in results:
        if result.holds is None:
            alike.setdefault(result.reason, []).append(result)
    rows = []
    for result in results:
        group = alike.get(result.reason, []) if result.holds is None else []
        if len(group) < _MANY:
            rows.append(_row(result))
        elif result is group[0]:
            names = joined(visible(each.name) for each in group)
            text = words("{} ({})", visible(result.reason), names)
            rows.append((None, words("{} checks", len(group)), text))
    return rows


def _row(result: CheckResult) -> tuple[bool | None, str, str]:
    text = result.reason if result.holds is None else result.sentence
    return result.holds, visible(result.name), visible(text)


def _verdict(check: Check) -> str:
    """Return how many checks hold, fail, do not apply and cannot be judged."""
    holding = sum(result.holds is True for result in check.checks)
    unjudged = [result for result in check.checks if result.holds is None]
    without = sum(not result.applies for result in unjudged)
    if not holding and not check.failed:
        return words("No check applies or can be judged: this says nothing about the model.")
    counts = [
        (len(check.failed), "{} check fails", "{} checks fail"),
        (holding, *(("{} holds", "{} hold") if check.failed else ("{} check holds", "{} checks hold"))),
        (without, "{} does not apply", "{} do not apply"),
        (len(unjudged) - without, "{} cannot be judged", "{} cannot be judged"),
    ]
    return words("{}.", joined([words(one if n == 1 else more, n) for n, one, more in counts if n]))


def _figure(result: CheckResult) -> str:
    """Return how large a difference is, and how large it may be; "" for a number that the sentence has."""
    if result.figure is None or not result.tolerance:
        return ""
    figures = f"{result.figure:.4g}", f"{result.tolerance:.3g}"
    if result.name in _DIFFERENCES:
        return words("  (difference {}; rounding explains up to {})", *figures)
    return words("  (off by {}; up to {} is allowed)", *figures) if result.name in _DISTANCES else ""


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
