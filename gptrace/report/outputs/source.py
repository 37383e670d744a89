"""`gptrace source`: the header, the code of each file with its shapes, notes, and what failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from gptrace.record import CheckResult, CodeFile, CodeLine, Source, TensorSpec
from gptrace.report.code_colors import colored
from gptrace.report.common_parts import (
    FactPairs,
    fitting_facts,
    model_facts,
    note_parts,
    prompt_fact,
    prompts_left_out,
    shown_prompts,
)
from gptrace.report.parts import Facts, Line, Listing, ListingRow, Part, line
from gptrace.report.safe_text import exception_label, visible
from gptrace.report.table_data import TableData
from gptrace.report.view import View
from gptrace.translation import recorded, words
from gptrace.wording import bracketed

_SHAPES_SHOWN = 4  # different shapes of one line
_NAMES_SHOWN = 3  # variables of one shape
_FOLDED = 4  # so many lines in a row that made nothing are shown; of more, those that did not run are folded


def parts(source: Source, view: View) -> list[Part]:
    """Return the header, and a listing for each file."""
    checks = {check.name: check for check in source.checks}
    listings = [_listing(file, source, checks, view) for file in source.files]
    return [Facts(_facts(source)), *note_parts(source.notes), *listings]


def csv_table(source: Source, view: View) -> TableData:
    """Return one row for each line of code."""
    names = (
        "file", "line", "calls", "failed", "checks", "made", "made_dims", "made_shape", "arguments",
        "arguments_dims", "arguments_shape", "text",
    )  # fmt: skip
    rows = [
        (
            file.file, each.line, each.calls, each.failed, each.checks, *_cells(each.made),
            *_cells(each.arguments), each.text,
        )
        for file in source.files
        for each in file.lines
    ]  # fmt: skip
    return TableData.plain(names, rows)


def _cells(specs: Sequence[TensorSpec]) -> tuple[str, str, str]:
    return (
        " ".join(spec.name for spec in specs),
        " ".join(bracketed(spec.dims) for spec in specs),
        " ".join(bracketed(spec.shape) for spec in specs),
    )


def shape_texts(specs: Sequence[TensorSpec], *, named: bool = False) -> list[tuple[str, str]]:
    """Return axis names and sizes of each different shape; variables are named where shapes differ by them.

    `named`: they are named in any case, as the arguments of a function are.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for spec in specs:
        names, sizes = bracketed(spec.dims), bracketed(spec.shape)
        groups.setdefault((names, "" if names == sizes else sizes), []).append(spec.name)
    by_variable = named or len({tuple(names) for names in groups.values()}) > 1
    texts = [
        (f"{_variables(names)}{visible(shape[0])}" if by_variable else visible(shape[0]), shape[1])
        for shape, names in groups.items()
    ]
    if len(texts) > _SHAPES_SHOWN:
        rest = len(texts) - _SHAPES_SHOWN + 1
        return [*texts[: _SHAPES_SHOWN - 2], (words("… {} more shapes", rest), ""), texts[-1]]
    return texts


def _variables(names: Sequence[str]) -> str:
    variables = list(dict.fromkeys(name for name in names if not name.startswith("output")))
    if len(variables) > _NAMES_SHOWN:
        variables = [variables[0], "…", variables[-1]]
    return f"{visible(', '.join(variables))}: ".replace(", …, ", " … ") if variables else ""


def _facts(source: Source) -> FactPairs:
    facts = model_facts(source.model)[:1]  # random weights make the same shapes
    count = len(source.inputs)
    for number in shown_prompts(count):
        prompt = source.inputs[number]
        name = words("prompt") if count == 1 else words("prompt {}", number)
        facts.append(prompt_fact(name, prompt.tokens, prompt.padding))
    facts += [*prompts_left_out(count), *fitting_facts(source.inputs)]
    if source.dims:
        facts.append(
            (words("axes"), line(" · ".join(f"{name} {size}" for name, size in source.dims.items())))
        )
    return facts


def _listing(file: CodeFile, source: Source, checks: Mapping[str, CheckResult], view: View) -> Listing:
    rows: list[ListingRow] = []
    before: Sequence[CodeLine] = ()
    for block in _blocks(file.lines):
        # The head of a class stands directly above its first function.
        rows += [ListingRow("", ())] if any(each.calls is not None for each in before) else []
        before = block
        codes = colored([each.text for each in block])
        pairs = list(zip(block, codes, strict=True))
        for folds, group in groupby(pairs, key=lambda pair: _may_fold(pair[0])):
            some = list(group)
            if folds and len(some) > _FOLDED and not view.full:
                rows.append(ListingRow("", line(words("… {} lines", len(some)), "quiet")))
            else:
                rows += [_row(each, code, source, checks) for each, code in some]
    return Listing(visible(file.file), rows)


def _blocks(lines: Sequence[CodeLine]) -> Iterator[list[CodeLine]]:
    """Yield the lines that follow each other in the file."""
    block: list[CodeLine] = []
    for each in lines:
        if block and each.line != block[-1].line + 1:
            yield block
            block = []
        block.append(each)
    if block:
        yield block


def _may_fold(each: CodeLine) -> bool:
    return not (each.calls or each.made or each.arguments or each.checks or each.failed)


def _row(each: CodeLine, code: Line, source: Source, checks: Mapping[str, CheckResult]) -> ListingRow:
    calls = each.calls
    did_not_run = calls == 0
    role = "failed" if each.failed or each.checks else "quiet" if did_not_run else ""
    shapes = [*shape_texts(each.arguments, named=True), *shape_texts(each.made)]
    runs = "–" if did_not_run else f"×{calls}" if calls is not None and calls > 1 else ""
    return ListingRow(str(each.line), code, runs, shapes, role, list(_remarks(each, source, checks)))


def _remarks(each: CodeLine, source: Source, checks: Mapping[str, CheckResult]) -> Iterator[Line]:
    if each.failed and source.error is not None:
        yield line(f"✗ {exception_label(source.error)}", "fails")
        if source.error.diagnosis:
            yield line(words("likely: {}", recorded(visible(source.error.diagnosis))), "strong")
    for name in each.checks:
        check = checks.get(name)
        yield line(f"✗ {visible(name)}: {visible(check.sentence) if check is not None else ''}", "fails")
        if check is not None and check.likely:
            yield line(words("likely: {}", visible(check.likely)), "strong")
