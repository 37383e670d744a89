"""Everything that was recorded of calls and operations → one frozen Trace."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import cast

from msgspec.structs import replace

from gptrace.model.quiet_torch import torch
from gptrace.record import FlowStep, Here, ModuleCall, OpCall, ParameterCount, Totals, Trace
from gptrace.tracing.call_records import CallRecords, records_of_pass
from gptrace.tracing.costs import costs_with_children
from gptrace.tracing.failures import failure_of
from gptrace.tracing.inferred_names import InferredAxisNames
from gptrace.tracing.model_facts import model_info_from, versions
from gptrace.tracing.notes import notes_on_lanes, trace_notes
from gptrace.tracing.operations import Operation
from gptrace.tracing.parameters import ancestors, counts_of
from gptrace.tracing.recorder import SpanRecorder
from gptrace.tracing.span import Span
from gptrace.tracing.spread.here import here_in_all, here_of_calls
from gptrace.tracing.spread.whole import SpreadFacts
from gptrace.tracing.tensor_specs import specs_of_pass, with_statistics

Module = torch.nn.Module
InferNames = Callable[[list[Span]], InferredAxisNames]
# MACs, kernels of unknown cost, and peak memory of a call.
_Measured = tuple[int | None, tuple[str, ...], int | None]
_NOT_MEASURED: _Measured = (None, (), None)
_NO_PARAMETERS = ParameterCount(0, 0, 0, 0)


def assemble_trace(
    recorder: SpanRecorder,
    error: BaseException | None,
    infer_names: InferNames,
    check: str,
    spread: SpreadFacts | None = None,
) -> Trace:
    """Return the trace of what was recorded.

    `infer_names` gives the axis names of each forward pass, `check` is how to check the model; `spread` says
    what was found out about a model that is spread over processes.
    """
    modules = recorder.paths_now()
    with torch._C.DisableTorchFunction():  # a user's function mode counts no work of ours
        parameters = recorder.parameters
        counts = counts_of(modules) if parameters is None else parameters.counts(modules)
        dtype = None if parameters is None else parameters.dtype
        model = model_info_from(recorder.module, modules, counts, dtype)
    passes = _forward_passes(recorder.spans)
    inferred = {root: infer_names(spans) for root, spans in passes.items()}
    held = [] if parameters is None else parameters.here
    here = here_of_calls(recorder.spans, modules, held, recorder.measures) if spread is not None else []
    calls, axis_names = _module_calls(recorder, counts.by_path, passes, inferred, spread, here)
    called = {span.module for span in recorder.spans}
    # A ModuleList is never called itself: it counts as used if a module in it was called.
    used = {around for path, module in recorder.paths if module in called for around in ancestors(path)}
    hidden = _paths_in_scripted_modules(recorder)
    replaced = _replaced_paths(recorder, modules)
    if replaced:
        hidden.update(path for path, _ in recorder.paths if not replaced.isdisjoint(ancestors(path)))
    sizes = {
        root: names.names.sizes_in(axis_names) if names.names else {} for root, names in inferred.items()
    }
    return Trace(
        versions=versions(),
        model=model,
        dims=_dims(axis_names, _same_in_all(sizes.values())),
        inputs=(),
        flow=_flow(calls),
        calls=calls,
        uncalled=tuple([path for path, _ in recorder.paths if path not in used and path not in hidden]),
        temperature=1.0,
        predictions=(),
        totals=_totals(recorder, calls, called, here_in_all(calls, modules, held) if here else None),
        error=failure_of(recorder, calls, error, sizes),
        notes=(
            *recorder.notes,
            *(spread.notes if spread is not None else ()),
            *_notes_on_names(inferred.values()),
            *_notes_on_lanes(inferred.values(), check),
            *trace_notes(recorder, called, used, replaced),
        ),
        mesh=None if spread is None else spread.layout.mesh,
    )


def _forward_passes(spans: Sequence[Span]) -> dict[int, list[Span]]:
    """Set the index and the root of each span; return the spans by root, the index of the outermost call."""
    passes: defaultdict[int, list[Span]] = defaultdict(list)
    for index, span in enumerate(spans):
        span.index = index
        span.root = index if span.parent is None else span.parent.root
        passes[span.root].append(span)
    return passes


def _module_calls(
    recorder: SpanRecorder,
    counts: Mapping[str, ParameterCount],
    passes: Mapping[int, list[Span]],
    inferred: Mapping[int, InferredAxisNames],
    spread: SpreadFacts | None,
    here: Sequence[Here],
) -> tuple[tuple[ModuleCall, ...], set[str]]:
    """Turn spans into records, with the axis names of the forward pass that each is in; return these, too."""
    spans = recorder.spans
    operations = recorder.operations_by_call()
    records: dict[int, CallRecords] = {}
    axis_names: set[str] = set()
    for root, of_pass in passes.items():  # a resized run is one forward pass, too
        names = inferred[root].names
        specs, names_of_pass = specs_of_pass(of_pass, operations, names)
        axis_names |= names_of_pass
        of_calls = cast("Sequence[CallRecords]", specs)  # the same, as long as there are no operations
        if recorder.operations is not None:
            of_calls = records_of_pass(of_pass, operations, specs, names)
        records.update(zip([span.index for span in of_pass], of_calls, strict=True))
    calls_of_path = Counter([span.path for span in spans])
    begun = dict.fromkeys(calls_of_path, 0)
    measured = _measured_facts(recorder, spans, spread)
    calls = []
    for span in spans:
        path, (inputs, outputs, ops) = span.path, records[span.index]
        begun[path] += 1
        # By position, in the order of the fields: keywords take twice as long, for hundreds of calls.
        calls.append(
            ModuleCall(
                span.index,
                span.parent.index if span.parent is not None else None,
                span.depth,
                path,
                span.class_name,
                begun[path],
                calls_of_path[path],
                inputs,
                with_statistics(outputs, span.statistics) if span.statistics else outputs,
                counts.get(path, _NO_PARAMETERS),
                span.seconds,
                *(measured[span.index] if measured else _NOT_MEASURED),
                _measured_ops(operations[span], ops, recorder, spread) if ops else (),
                span.failed,
                here[span.index] if here else None,
            )
        )
    return tuple(calls), axis_names


def _measured_facts(
    recorder: SpanRecorder, spans: Sequence[Span], spread: SpreadFacts | None
) -> list[_Measured]:
    """Return what was measured of each call; nothing if nothing was. Of a spread model that is the whole."""
    measures = recorder.measures
    if not (measures.macs or measures.memory):
        return []
    if spread is not None and spread.layout.work_dims:
        return [spread.measured(span, measures) for span in spans]
    costs = costs_with_children(spans) if measures.macs else []
    return [
        (
            costs[span.index].macs if costs else None,
            costs[span.index].unknown if costs else (),
            span.peak_bytes if measures.memory else None,
        )
        for span in spans
    ]


def _measured_ops(
    operations: Sequence[Operation],
    ops: tuple[OpCall, ...],
    recorder: SpanRecorder,
    spread: SpreadFacts | None,
) -> tuple[OpCall, ...]:
    """Return the operations of a call with their costs, and a mark at the one that raised."""
    failed = recorder.operations.failed if recorder.operations is not None else None
    if failed in operations:
        at = operations.index(failed)
        ops = (*ops[:at], replace(ops[at], failed=True), *ops[at + 1 :])
    pairs = zip(operations, ops, strict=True)
    if spread is not None:
        return tuple(spread.measured_op(operation, op, recorder.measures) for operation, op in pairs)
    if not recorder.measures.macs:
        return ops
    return tuple(
        replace(op, macs=operation.macs, macs_unknown=tuple(sorted(operation.unknown)))
        for operation, op in pairs
    )


def _dims(axis_names: Collection[str], sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the sizes by axis name, of the names that occur in the trace."""
    used = {name for axis in axis_names for name in axis.split("*")}
    return {name: size for name, size in sizes.items() if name in used}


def _same_in_all(sizes_of_passes: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sizes without those that change from one forward pass to the next."""
    values: dict[str, set[int]] = {}
    for sizes in sizes_of_passes:
        for name, size in sizes.items():
            values.setdefault(name, set()).add(size)
    return {name: min(of_name) for name, of_name in values.items() if len(of_name) == 1}


def _notes_on_names(inferred: Collection[InferredAxisNames]) -> list[str]:
    """Return the notes on axis names; of a note that not every forward pass got, how many did."""
    notes = Counter(names.note for names in inferred if names.note)
    judged = sum(bool(names.note or names.names) for names in inferred)
    return [
        note if count == judged else f"in {count} of {judged} forward passes, {note}"
        for note, count in notes.items()
    ]


def _notes_on_lanes(inferred: Collection[InferredAxisNames], check: str) -> list[str]:
    """Return the note on the first forward pass that has one: all run the same code."""
    notes = (notes_on_lanes(names.views(), leaks=names.leaks(), check=check) for names in inferred)
    return next(filter(None, notes), [])


def _flow(calls: tuple[ModuleCall, ...]) -> tuple[FlowStep, ...]:
    """Return the main line: the input, then the outputs of the root's children that begin with its axes."""
    if not calls or not calls[0].inputs:
        return ()
    entry = calls[0].inputs[0]
    steps = [("input", entry)]
    steps += [(call.path, call.outputs[0]) for call in calls if call.parent == 0 and call.outputs]
    axes = len(entry.dims)
    return tuple(FlowStep(at, spec.shape, spec.dims) for at, spec in steps if spec.dims[:axes] == entry.dims)


def _totals(
    recorder: SpanRecorder, calls: Sequence[ModuleCall], called: set[Module], here: Here | None
) -> Totals:
    roots = [call for call in calls if call.parent is None]
    measures, operations = recorder.measures, recorder.operations
    return Totals(
        calls=len(calls),
        modules=len(called),
        seconds=sum((call.seconds for call in roots), 0.0),
        macs=_known_sum([call.macs for call in roots]) if measures.macs else None,
        macs_unknown=tuple(sorted({name for call in roots for name in call.macs_unknown})),
        peak_bytes=_known_greatest([call.peak_bytes for call in roots]) if measures.memory else None,
        ops=len(operations.operations) if operations is not None else None,
        here=here,
    )


def _known_sum(values: Sequence[int | None]) -> int | None:
    """Return the sum; None if any of the values is unknown."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _known_greatest(values: Sequence[int | None]) -> int | None:
    """Return the greatest value, 0 if there is none; None if any of the values is unknown."""
    known = [value for value in values if value is not None]
    return max(known, default=0) if len(known) == len(values) else None


def _replaced_paths(recorder: SpanRecorder, modules: Iterable[tuple[str, Module]]) -> set[str]:
    """Return the paths where another module stands now than when the recording began."""
    if modules is recorder.paths:
        return set()
    now = dict(modules)
    return {path for path, module in recorder.paths if now.get(path, module) is not module}


def _paths_in_scripted_modules(recorder: SpanRecorder) -> set[str]:
    """Return the paths inside scripted modules, whose calls do not go through Python."""
    kinds = {type(module) for _, module in recorder.paths}
    if not any(issubclass(kind, torch.jit.ScriptModule) for kind in kinds):
        return set()
    scripted = {path for path, module in recorder.paths if isinstance(module, torch.jit.ScriptModule)}
    return {path for path, _ in recorder.paths if not scripted.isdisjoint(ancestors(path)[1:])}
