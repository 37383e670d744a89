"""`gptrace run`: the flow of shapes, the header, the tree of calls, notes, and the next tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from gptrace.record import Failure, OpCall, Trace
from gptrace.report.call_csv import csv_table as csv_table
from gptrace.report.call_rows import CallRow, rows_of
from gptrace.report.candidate_tables import candidates_table
from gptrace.report.columns import TreeColumn, cost_text, heads_of, measured_columns
from gptrace.report.common_parts import (
    FactPairs,
    fitting_facts,
    model_facts,
    note_text,
    prompt_fact,
    prompts_left_out,
    shown_prompts,
    source_place,
    temperature_facts,
)
from gptrace.report.counted import counted_calls, counted_modules
from gptrace.report.main_line import main_line, sentence_on_logits
from gptrace.report.mesh_parts import mesh_facts, mesh_parts
from gptrace.report.parts import Facts, Line, Lines, Part, Tree, TreeRow, line
from gptrace.report.safe_text import exception_label, visible
from gptrace.report.shapes import changes_last_axis, keeps_shape, names, sizes
from gptrace.report.shards import NOTHING, WHOLE
from gptrace.report.view import View
from gptrace.translation import joined, recorded, words
from gptrace.wording import bracketed, readable_bytes

_UNCALLED_SHOWN = 10
_INPUTS_SHOWN = 4
_KERNELS_SHOWN = 4


def parts(trace: Trace, view: View) -> list[Part]:
    """Return the parts, without those that the trace does not have."""
    rows = rows_of(trace, view)
    predictions = [
        candidates_table(
            trace.inputs[prediction.input], prediction.candidates, log_probabilities=view.log_probabilities
        )
        for prediction in trace.predictions
        if prediction.candidates
    ]
    return [
        *_flow(trace),
        Facts(_facts(trace)),
        *([_tree(trace, rows, view.columns or measured_columns(trace))] if rows else []),
        Lines(_notes(trace, rows)),
        *mesh_parts(trace),
        *predictions,
    ]


def _flow(trace: Trace) -> list[Part]:
    """Return the main line, in names and in numbers: each shape that differs from the one before."""
    steps = main_line(trace)
    if not steps:
        return []
    named = [bracketed(step.dims) for step in steps]
    sized = [bracketed(step.shape) for step in steps]
    if named == sized:
        return [Lines([line(" → ".join(sized), "strong")], narrow=[line(shape) for shape in _arrows(sized)])]
    widths = [max(map(len, pair)) for pair in zip(named, sized, strict=True)]
    padded = [
        " → ".join(shape.ljust(width) for shape, width in zip(shapes, widths, strict=True)).rstrip()
        for shapes in (named, sized)
    ]
    steps_below = _arrows(named)
    width = max(map(len, steps_below))
    narrow = [
        ((step.ljust(width + 2), "strong"), (size, "")) for step, size in zip(steps_below, sized, strict=True)
    ]
    return [Lines([line(padded[0], "strong"), line(padded[1])], aligned=True, narrow=narrow)]


def _arrows(shapes: Sequence[str]) -> list[str]:
    """Return shapes for lines below each other, an arrow before each but the first."""
    return [shapes[0], *(f"→ {shape}" for shape in shapes[1:])]


def _facts(trace: Trace) -> FactPairs:
    facts = [*model_facts(trace.model), *mesh_facts(trace)]
    count = len(trace.inputs)
    for number in shown_prompts(count):
        prompt = trace.inputs[number]
        name = words("prompt") if count == 1 else words("prompt {}", number)
        facts.append(prompt_fact(name, prompt.tokens, prompt.padding))
    facts += [*prompts_left_out(count), *fitting_facts(trace.inputs), *temperature_facts(trace.temperature)]
    if trace.dims:
        facts.append((words("axes"), line(" · ".join(f"{name} {size}" for name, size in trace.dims.items()))))
    return facts


def _tree(trace: Trace, rows: Sequence[CallRow], columns: Sequence[str]) -> Tree:
    extras = heads_of(trace, columns)
    sides = [name for name in ("input", "output") if name in columns]
    return Tree(
        rows=[_tree_row(row, sides, extras) for row in rows],
        shapes_title=_SHAPES_TITLES["→".join(sides)],
        has_types="type" in columns,
        columns=[(column.title, column.is_number) for column in extras],
    )


_SHAPES_TITLES: dict[str, str] = {
    "input→output": words("Input → output"), "input": words("Input"), "output": words("Output"), "": "",
}  # fmt: skip


def _tree_row(row: CallRow, sides: Sequence[str], extras: Sequence[TreeColumn]) -> TreeRow:
    call = row.op or row.call
    sign = _SIGNS.get(row.op.name, ", ") if row.op else ", "
    label = row.label
    type_text = _op_type(row.op) if row.op else visible(row.call.type) if row.guide else ""
    if row.folded:
        label = words("{}, same as {}", label, row.first_label)
        type_text = f"{len(row.folded)} × {type_text}"
    entering, leaving = names(call.inputs, sign), names(call.outputs)
    entering_sizes, leaving_sizes = sizes(call.inputs, sign), sizes(call.outputs)
    size_text: str = words("{} → {}", entering_sizes, leaving_sizes)
    is_same = not call.failed and keeps_shape(call)
    if call.failed:
        leaving, size_text = words("raised"), entering_sizes
    elif is_same:
        leaving, size_text = words("same"), entering_sizes
    if entering_sizes == entering and (is_same or leaving == leaving_sizes):
        size_text = ""  # the names are the numbers
    shapes = words("{} → {}", entering, leaving)
    if row.op is not None and not row.op.inputs:  # made of no tensor: a mask, positions
        shapes, size_text = words("→ {}", leaving), words("→ {}", leaving_sizes)
    if len(sides) < 2:
        shapes = _one_side(sides, entering, leaving, is_same=is_same)
    changed = row.op is None and changes_last_axis(call)
    cells = [column.show(row) for column in extras]
    return TreeRow(
        label=label,
        guide=row.guide,
        below=row.below,
        depth=row.call.depth + (row.op is not None),
        type=type_text,
        shapes=shapes,
        sizes=size_text if len(sides) == 2 else "",
        entering=entering,
        leaving=leaving,
        role="operation" if row.op is not None else "changed" if changed else "",
        shapes_role="changed" if changed else "",
        cells=cells,
        lines=[_line_below(column, cell) for column, cell in zip(extras, cells, strict=True)],
    )


def _line_below(column: TreeColumn, cell: str) -> str:
    """Return the line that says the same as a cell where its column is too wide."""
    says_something = column.of_spread and cell not in (NOTHING, WHOLE)
    return words("{}: {}", column.title, cell) if says_something else ""


def _one_side(sides: Sequence[str], entering: str, leaving: str, *, is_same: bool) -> str:
    if not sides:
        return ""
    return entering if sides == ["input"] or is_same else leaving


# The sign between the inputs of an operation on two tensors.
_SIGNS = {"matmul": " @ ", "mm": " @ ", "bmm": " @ ", "add": " + ", "sub": " - ", "mul": " × "}


def _op_type(op: OpCall) -> str:
    """Return the line that asked for an operation, and whether the operation made anything new."""
    file, _, number = op.source.rpartition(":")
    name = PurePath(file).name
    # All cells are of the model's notebook.
    where = source_place(name, number, op.cell, with_notebook=False) if name else ""
    kind = words("view") if op.is_view else words("in place") if op.in_place else ""
    return joined(part for part in (where, kind) if part)


def _notes(trace: Trace, rows: Sequence[CallRow]) -> list[Line]:
    """Return the totals, what the table leaves out, the trace's own notes, and the failure."""
    lines = [line(_totals(trace, rows), "quiet"), *_costs(trace)]
    lines += [line(note_text(note)) for note in trace.notes]
    if sentence := sentence_on_logits(trace):
        lines.append(line(sentence))
    if trace.uncalled:
        uncalled = _outermost(trace.uncalled)
        paths = ", ".join(map(visible, uncalled[:_UNCALLED_SHOWN]))
        rest = len(uncalled) - _UNCALLED_SHOWN
        names_and_rest = words("{} and {} more", paths, rest) if rest > 0 else paths
        template = "not called: {}" if trace.error is None else "not reached: {}"
        lines.append(line(words(template, names_and_rest)))
    return lines + (_failure(trace.error) if trace.error else [])


def _outermost(paths: Sequence[str]) -> list[str]:
    """Return the paths that are in none of the others; modules that are numbered in a row are one.

    >>> _outermost(["blocks.1.ff", "blocks.2", "blocks.2.ff", "blocks.3", "norm"])
    ['blocks.1.ff', 'blocks.2–3', 'norm']
    """
    known = set(paths)
    rows: list[tuple[str, str, str]] = []  # what stands before the number, the first number, the last one
    for path in paths:
        names = path.split(".")
        if any(".".join(names[:count]) in known for count in range(1, len(names))):
            continue
        last = names[-1] if re.fullmatch("[0-9]{1,9}", names[-1]) else ""
        stem = path.removesuffix(last)
        if last and rows and rows[-1][0] == stem and rows[-1][2] and int(rows[-1][2]) + 1 == int(last):
            rows[-1] = (stem, rows[-1][1], last)
        else:
            rows.append((stem, last, last))
    return [f"{stem}{first}" + f"–{last}" * (first != last) for stem, first, last in rows]


def _totals(trace: Trace, rows: Sequence[CallRow]) -> str:
    totals = trace.totals
    milliseconds = f"{totals.seconds * 1000:.1f}"
    calls = words("{} of {}", counted_calls(totals.calls), counted_modules(totals.modules))
    parts: list[str] = [words("{} in {} ms", calls, milliseconds)]
    if trace.mesh is not None and trace.mesh.simulated:  # whose time is none of the model's
        parts = [calls]
    if totals.ops is not None:
        parts.append(words("{} operation" if totals.ops == 1 else "{} operations", totals.ops))
    folded = sum(row.hidden for row in rows if row.folded)
    cut = sum(row.hidden for row in rows if not row.folded)
    parts += [words("{} folded (--full shows them)", folded)] * bool(folded)
    parts += [words("{} below --depth", cut)] * bool(cut)
    parts.append(words("parameters include the children's"))
    if any(row.call.call > 1 for row in rows):
        parts.append(words("(2) marks a module's second call"))
    return joined(parts, " · ")


def _costs(trace: Trace) -> list[Line]:
    lines, totals = [], trace.totals
    if totals.cost is not None:
        template = "{} MACs (multiply-accumulates) in matrix products, convolutions and attention"
        clauses = [words(template, cost_text(totals.cost))]
        if totals.cost.unknown:
            kernels = ", ".join(map(visible, totals.cost.unknown[:_KERNELS_SHOWN]))
            clauses.append(words("the cost of {} is unknown", kernels))
        lines.append(line(joined(clauses, "; "), "quiet"))
    if totals.peak_bytes is not None:
        template = "peak memory of activations: {}, parameters not included"
        lines.append(line(words(template, readable_bytes(totals.peak_bytes)), "quiet"))
    return lines


def _failure(failure: Failure) -> list[Line]:
    """Return the exception, the inputs of the call that raised, the line of code, and the likely cause."""
    where = visible(failure.path) or words("the model itself")
    lines = [line(words("raised in {}: {}", where, exception_label(failure)), "failed")]
    inputs = [
        words("{} {} {} on {}", visible(spec.name), bracketed(spec.shape), spec.dtype, spec.device)
        for spec in failure.inputs[:_INPUTS_SHOWN]
    ]
    if inputs:
        lines.append(line(words("arguments: {}", joined(inputs))))
    if failure.source:
        lines.append(line(words("at: {}", recorded(visible(failure.source)))))
    if failure.diagnosis:
        lines.append(line(words("likely: {}", recorded(visible(failure.diagnosis))), "strong"))
    return lines
