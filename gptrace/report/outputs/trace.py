"""`gptrace run`: the flow of shapes, the header, the tree of calls, notes, and the next tokens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import PurePath

from gptrace.record import Failure, FlowStep, ModuleCall, OpCall, Trace
from gptrace.report.call_tree import CallRow, rows_of
from gptrace.report.columns import COLUMNS, TreeColumn, cost_text, measured_columns
from gptrace.report.common_parts import (
    FactPairs,
    candidates_table,
    fitting_facts,
    model_facts,
    prompt_fact,
    prompts_left_out,
    shown_prompts,
    temperature_facts,
)
from gptrace.report.parts import Facts, Line, Lines, Part, Tree, TreeRow, line
from gptrace.report.safe_text import visible
from gptrace.report.shapes import changes_last_axis, keeps_shape, names, sizes
from gptrace.report.table_data import TableData
from gptrace.report.view import View
from gptrace.wording import bracketed, one_line, readable_bytes

_UNCALLED_SHOWN = 10
_INPUTS_SHOWN = 4
_KERNELS_SHOWN = 4


def parts(trace: Trace, view: View) -> list[Part]:
    """Return the parts, without those that the trace does not have."""
    rows = rows_of(trace, view)
    flow = _flow(trace)
    predictions = [
        candidates_table(
            trace.inputs[prediction.input], prediction.candidates, log_probabilities=view.log_probabilities
        )
        for prediction in trace.predictions
        if prediction.candidates
    ]
    return [
        *([Lines(flow, aligned=True)] if flow else []),
        Facts(_facts(trace)),
        *([_tree(rows, view.columns or measured_columns(trace))] if rows else []),
        Lines(_notes(trace, rows)),
        *predictions,
    ]


def csv_table(trace: Trace, view: View) -> TableData:
    """Return one row for each call: its tensors as text, and the columns of the view."""
    keys = (
        "index", "parent", "depth", "path", "type", "call", "calls", "input_dims", "input_shape",
        "output_dims", "output_shape", "own_parameters", "total_parameters", "seconds",
    )  # fmt: skip
    columns = [name for name in view.columns or measured_columns(trace) if name in _CSV_VALUES]
    inside: defaultdict[int | None, float] = defaultdict(float)  # seconds of the calls that each call made
    for call in trace.calls:
        inside[call.parent] += call.seconds
    rows = [
        (
            call.index, call.parent, call.depth, call.path, call.type, call.call, call.calls,
            *(" ".join(bracketed(getattr(spec, fact)) for spec in side)
              for side in (call.inputs, call.outputs) for fact in ("dims", "shape")),
            call.parameters.own, call.parameters.total, call.seconds,
            *(_CSV_VALUES[name](call, call.seconds - inside[call.index]) for name in columns),
        )
        for call in trace.calls
    ]  # fmt: skip
    return TableData.plain((*keys, *columns), rows)


def _of_first(fact: str) -> Callable[[ModuleCall, float], object]:
    """Return a statistic of the first output that has any."""

    def value(call: ModuleCall, own_seconds: float) -> object:
        statistics = next((spec.statistics for spec in call.outputs if spec.statistics), None)
        return None if statistics is None else getattr(statistics, fact)

    return value


# The columns of the view that are not in every CSV, by their raw values.
_CSV_VALUES: dict[str, Callable[[ModuleCall, float], object]] = {
    "trainable": lambda call, _: call.parameters.trainable,
    "bytes": lambda call, _: call.parameters.bytes,
    "macs": lambda call, _: cost_text(call.cost) if call.macs_unknown else call.macs,
    "own": lambda _, own_seconds: own_seconds,
    "memory": lambda call, _: call.peak_bytes,
    "dtype": lambda call, _: tuple(spec.dtype for spec in call.outputs),
    "device": lambda call, _: tuple(spec.device for spec in call.outputs),
    **{fact: _of_first(fact) for fact in ("mean", "std", "min", "max", "nan")},
}


def _flow(trace: Trace) -> list[Line]:
    """Return the main line, in names and in numbers: each shape that differs from the one before."""
    steps: list[FlowStep] = []
    for step in trace.flow:
        if not steps or (step.dims, step.shape) != (steps[-1].dims, steps[-1].shape):
            steps.append(step)
    if len(steps) < 2:
        return []
    named = [bracketed(step.dims) for step in steps]
    sized = [bracketed(step.shape) for step in steps]
    if named == sized:
        return [line(" → ".join(sized), "strong")]
    widths = [max(map(len, pair)) for pair in zip(named, sized, strict=True)]
    padded = [
        " → ".join(shape.ljust(width) for shape, width in zip(shapes, widths, strict=True)).rstrip()
        for shapes in (named, sized)
    ]
    return [line(padded[0], "strong"), line(padded[1])]


def _facts(trace: Trace) -> FactPairs:
    facts = model_facts(trace.model)
    count = len(trace.inputs)
    for number in shown_prompts(count):
        prompt = trace.inputs[number]
        name = "prompt" if count == 1 else f"prompt {number}"
        facts.append(prompt_fact(name, prompt.tokens, prompt.padding))
    facts += [*prompts_left_out(count), *fitting_facts(trace.inputs), *temperature_facts(trace.temperature)]
    if trace.dims:
        facts.append(("axes", line(" · ".join(f"{name} {size}" for name, size in trace.dims.items()))))
    return facts


def _tree(rows: Sequence[CallRow], columns: Sequence[str]) -> Tree:
    extras = [COLUMNS[name] for name in columns if name in COLUMNS]
    sides = [name for name in ("input", "output") if name in columns]
    return Tree(
        rows=[_tree_row(row, sides, extras) for row in rows],
        shapes_title=" → ".join(sides).capitalize(),
        has_types="type" in columns,
        columns=[(column.title, column.is_number) for column in extras],
    )


def _tree_row(row: CallRow, sides: Sequence[str], extras: Sequence[TreeColumn]) -> TreeRow:
    call = row.op or row.call
    sign = _SIGNS.get(row.op.name, ", ") if row.op else ", "
    label = visible(row.label)
    type_text = _op_type(row.op) if row.op else visible(row.call.type) if row.guide else ""
    if row.folded:
        label += f", same as {visible(row.first_label)}"
        type_text = f"{len(row.folded)} × {type_text}"
    entering, leaving = names(call.inputs, sign), names(call.outputs)
    entering_sizes, leaving_sizes = sizes(call.inputs, sign), sizes(call.outputs)
    size_text = f"{entering_sizes} → {leaving_sizes}"
    if call.failed:
        leaving, size_text = "raised", entering_sizes
    elif keeps_shape(call):
        leaving, size_text = "same", entering_sizes
    if entering_sizes == entering and leaving in ("same", leaving_sizes):
        size_text = ""  # the names are the numbers
    shapes = f"{entering} → {leaving}"
    if row.op is not None and not row.op.inputs:  # made of no tensor: a mask, positions
        shapes, size_text = f"→ {leaving}", f"→ {leaving_sizes}"
    if len(sides) < 2:
        shapes = _one_side(sides, entering, leaving)
    changed = row.op is None and changes_last_axis(call)
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
        cells=[column.show(row) for column in extras],
    )


def _one_side(sides: Sequence[str], entering: str, leaving: str) -> str:
    if not sides:
        return ""
    return entering if sides == ["input"] or leaving == "same" else leaving


# The sign between the inputs of an operation on two tensors.
_SIGNS = {"matmul": " @ ", "mm": " @ ", "bmm": " @ ", "add": " + ", "sub": " - ", "mul": " × "}


def _op_type(op: OpCall) -> str:
    """Return the line that asked for an operation, and whether the operation made anything new."""
    file, _, number = op.source.rpartition(":")
    where = f"{PurePath(file).name}:{number}" if file else ""
    kind = "view" if op.is_view else "in place" if op.in_place else ""
    return visible(", ".join(part for part in (where, kind) if part))


def _notes(trace: Trace, rows: Sequence[CallRow]) -> list[Line]:
    """Return the totals, what the table leaves out, the trace's own notes, and the failure."""
    lines = [line(_totals(trace, rows), "quiet"), *_costs(trace)]
    lines += [line(f"note: {visible(note)}") for note in trace.notes]
    candidates = [candidate for prediction in trace.predictions for candidate in prediction.candidates]
    if candidates and trace.logits_per_position:
        # Ids without bytes are of no known vocabulary: nothing says that each logit is that of a token.
        has_tokens = any(candidate.bytes is not None for candidate in candidates)
        owner = ", one for each token of the vocabulary" * has_tokens
        text = f"Each position has {trace.logits_per_position:,} logits{owner}; softmax over those of the"
        lines.append(line(f"{text} last position gives the next token."))
    if trace.uncalled:
        paths = ", ".join(map(visible, trace.uncalled[:_UNCALLED_SHOWN]))
        rest = len(trace.uncalled) - _UNCALLED_SHOWN
        title = "not called" if trace.error is None else "not reached"
        lines.append(line(f"{title}: {paths}" + (f" and {rest} more" if rest > 0 else "")))
    return lines + (_failure(trace.error) if trace.error else [])


def _totals(trace: Trace, rows: Sequence[CallRow]) -> str:
    totals = trace.totals
    text = f"{totals.calls} calls of {totals.modules} modules in {totals.seconds * 1000:.1f} ms"
    if totals.ops is not None:
        text += f" · {totals.ops} operations"
    folded = sum(row.hidden for row in rows if row.folded)
    cut = sum(row.hidden for row in rows if not row.folded)
    text += f" · {folded} folded (--full shows them)" if folded else ""
    text += f" · {cut} below --depth" if cut else ""
    text += " · parameters include the children's"
    return text + (" · (2) marks a module's second call" if any(row.call.call > 1 for row in rows) else "")


def _costs(trace: Trace) -> list[Line]:
    lines, totals = [], trace.totals
    if totals.cost is not None:
        text = f"{cost_text(totals.cost)} MACs (multiply-accumulates) in matrix products, convolutions and"
        text += " attention"
        if totals.cost.unknown:
            kernels = ", ".join(map(visible, totals.cost.unknown[:_KERNELS_SHOWN]))
            text += f"; the cost of {kernels} is unknown"
        lines.append(line(text, "quiet"))
    if totals.peak_bytes is not None:
        peak = readable_bytes(totals.peak_bytes)
        lines.append(line(f"peak memory of activations: {peak}, parameters not included", "quiet"))
    return lines


def _failure(failure: Failure) -> list[Line]:
    """Return the exception, the inputs of the call that raised, the line of code, and the likely cause."""
    where = visible(failure.path) or "the model itself"
    message = one_line(failure.message, limit=None)
    lines = [line(f"raised in {where}: {visible(failure.type)}: {visible(message)}", "failed")]
    inputs = [
        f"{spec.name} {bracketed(spec.shape)} {spec.dtype} on {spec.device}"
        for spec in failure.inputs[:_INPUTS_SHOWN]
    ]
    if inputs:
        lines.append(line(f"arguments: {visible(', '.join(inputs))}"))
    if failure.source:
        lines.append(line(f"at: {visible(failure.source)}"))
    if failure.diagnosis:
        lines.append(line(f"likely: {visible(failure.diagnosis)}", "strong"))
    return lines
