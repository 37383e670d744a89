"""What the hooks and modes saw → one frozen Trace."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from typing import Any

from gptrace.model.quiet_torch import torch
from gptrace.model.user_code_errors import line_of
from gptrace.record import (
    Cost,
    Failure,
    FlowStep,
    ModuleCall,
    OpCall,
    ParameterCount,
    Totals,
    Trace,
)
from gptrace.tracing.axis_names import InferredAxisNames
from gptrace.tracing.diagnosis import FailureContext, diagnose
from gptrace.tracing.model_facts import described, versions
from gptrace.tracing.notes import notes_of
from gptrace.tracing.operations import Operation
from gptrace.tracing.parameters import ancestors, count_by_module, named_modules_with_aliases, parameter_refs
from gptrace.tracing.recorder import SpanRecorder
from gptrace.tracing.resized_runs import numbered
from gptrace.tracing.span import Span
from gptrace.tracing.specs import Specs, with_statistics

Module = torch.nn.Module
_NO_PARAMETERS = ParameterCount(0, 0, 0, 0)


def assemble_trace(
    recorder: SpanRecorder, error: BaseException | None, name: Callable[[list[Span]], InferredAxisNames]
) -> Trace:
    """Return the trace of what was recorded; `name` gives the axis names of each forward pass."""
    # As they are now: a forward pass may have added some.
    modules = list(named_modules_with_aliases(recorder.module))
    parameters = parameter_refs(modules)
    calls, dims, notes = _calls_of(recorder, count_by_module(modules, parameters), name)
    called = {span.module for span in recorder.spans}
    # A ModuleList is never called itself: it counts as used when anything in it was.
    used = {around for path, module in recorder.paths if module in called for around in ancestors(path)}
    scripted = _scripted(recorder)
    roots = [call for call in calls if call.parent is None]
    measures, operations = recorder.measures, recorder.operations
    return Trace(
        versions=versions(),
        model=described(recorder.module, modules, parameters),
        dims=dims,
        inputs=(),
        flow=_flow_of(calls),
        calls=calls,
        uncalled=tuple(path for path, _ in recorder.paths if path not in used and path not in scripted),
        temperature=1.0,
        predictions=(),
        totals=Totals(
            calls=len(calls),
            modules=len(called),
            seconds=sum(call.seconds for call in roots),
            **_sum(roots, measured=measures.macs),
            peak_bytes=max((call.peak_bytes or 0 for call in roots), default=0) if measures.memory else None,
            ops=len(operations.operations) if operations is not None else None,
        ),
        error=_failure_of(recorder, calls, error),
        notes=(*recorder.notes, *notes, *notes_of(recorder, called, used)),
    )


def _calls_of(
    recorder: SpanRecorder,
    counts: Mapping[str, ParameterCount],
    name: Callable[[list[Span]], InferredAxisNames],
) -> tuple[tuple[ModuleCall, ...], dict[str, int], tuple[str, ...]]:
    """Turn spans into records, with axis names where a forward pass can be given them, and what was noted."""
    spans = recorder.spans
    passes: defaultdict[int, list[Span]] = defaultdict(list)  # by the index of the outermost call
    for index, span in enumerate(spans):
        span.index = index
        span.root = index if span.parent is None else span.parent.root
        passes[span.root].append(span)
    namings = {root: name(those) for root, those in passes.items()}
    specs = {root: Specs(naming.names) for root, naming in namings.items()}
    # What the twin's single pass counts is the number of the call within its own.
    several = len(passes) > 1
    numbers = {one: number for those in passes.values() for one, number in numbered(those)} if several else {}
    calls_of_path = Counter([span.path for span in spans])
    costs = _costs_of(spans) if recorder.measures.macs else []
    operations = _operations_by_call(recorder)
    calls = []
    for span, call in numbered(spans):
        of_pass, path, number = specs[span.root], span.path, numbers.get(span, call)
        outputs = of_pass.of((path, number, "output"), span.outputs)
        calls.append(
            ModuleCall(
                index=span.index,
                parent=span.parent.index if span.parent is not None else None,
                depth=span.depth,
                path=path,
                type=type(span.module).__name__,
                call=call,
                calls=calls_of_path[path],
                inputs=of_pass.of((path, number, "input"), span.inputs),
                outputs=with_statistics(outputs, span.statistics) if span.statistics else outputs,
                parameters=counts.get(path, _NO_PARAMETERS),
                seconds=span.seconds,
                failed=span.failed,
                macs=costs[span.index].macs if costs else None,
                macs_unknown=costs[span.index].unknown if costs else (),
                peak_bytes=span.peak if recorder.measures.memory else None,
                ops=_operations_of(span, number, operations[span], of_pass, recorder)
                if span in operations
                else (),
            )
        )
    named = next((naming.names.sizes for naming in namings.values() if naming.names), {})
    # Only what some axis turned out to be: a key of a configuration may never have been used.
    used = {part for dim in _dims_in(calls) for part in dim.split("*")}
    sizes = {name: size for name, size in named.items() if name in used}
    notes = dict.fromkeys(naming.note for naming in namings.values() if naming.note)
    return tuple(calls), sizes, tuple(notes)


def _dims_in(calls: Iterable[ModuleCall]) -> set[str]:
    looks = {spec.dims for call in calls for spec in (*call.inputs, *call.outputs)}
    looks |= {spec.dims for call in calls for op in call.ops for spec in (*op.inputs, *op.outputs)}
    return set(chain.from_iterable(looks))


def _operations_by_call(recorder: SpanRecorder) -> dict[Span, list[Operation]]:
    found: dict[Span, list[Operation]] = {}
    for operation in recorder.operations.operations if recorder.operations is not None else ():
        if operation.parent is not None:
            found.setdefault(operation.parent, []).append(operation)
    return found


def _costs_of(spans: Sequence[Span]) -> list[Cost]:
    """Return the cost of each call with the calls inside it."""
    macs = [span.macs for span in spans]
    unknown = [span.unknown for span in spans]
    for index in range(len(spans) - 1, -1, -1):  # a parent stands before its children
        parent = spans[index].parent
        if parent is not None:
            macs[parent.index] += macs[index]
            if unknown[index]:
                unknown[parent.index] |= unknown[index]
    return list(map(_cost, macs, unknown))


@lru_cache(maxsize=1000)  # the blocks of a model have the same
def _cost(macs: int, unknown: frozenset[str]) -> Cost:
    return Cost(macs, tuple(sorted(unknown)))


def _sum(roots: Sequence[ModuleCall], *, measured: bool) -> dict[str, Any]:
    if not measured:
        return {}
    unknown = {name for call in roots for name in call.macs_unknown}
    return {"macs": sum(call.macs or 0 for call in roots), "macs_unknown": tuple(sorted(unknown))}


def _operations_of(
    span: Span, number: int, operations: Sequence[Operation], specs: Specs, recorder: SpanRecorder
) -> tuple[OpCall, ...]:
    path, has_costs = span.path, recorder.measures.macs
    failed = recorder.operations.failed if recorder.operations is not None else None
    return tuple(
        [
            OpCall(
                name=one.name,
                place=one.place,
                inputs=specs.of((path, number, ordinal, one.name, "input"), one.inputs),
                outputs=specs.of((path, number, ordinal, one.name, "output"), one.outputs),
                is_view=one.is_view,
                in_place=one.in_place,
                source=one.source,
                macs=one.macs if has_costs else None,
                macs_unknown=tuple(sorted(one.unknown)) if has_costs else (),
                failed=one is failed,
            )
            for ordinal, one in enumerate(operations)
        ]
    )


def _flow_of(calls: tuple[ModuleCall, ...]) -> tuple[FlowStep, ...]:
    """Return the main line: what goes in, then what leaves each child of the root with those axes first."""
    if not calls or not calls[0].inputs:
        return ()
    entry = calls[0].inputs[0]
    steps = [FlowStep("input", entry.shape, entry.dims)]
    for call in calls:
        if call.parent == 0 and call.outputs and call.outputs[0].dims[: len(entry.dims)] == entry.dims:
            steps.append(FlowStep(call.path, call.outputs[0].shape, call.outputs[0].dims))
    return tuple(steps)


def _scripted(recorder: SpanRecorder) -> set[str]:
    """Return the paths inside scripted modules, where nobody can see whether they are called."""
    around = [path for path, module in recorder.paths if isinstance(module, torch.jit.ScriptModule)]
    if not around:
        return set()
    return {
        path
        for path, _ in recorder.paths
        if any(outer != path and outer in ancestors(path) for outer in around)
    }


def _failure_of(
    recorder: SpanRecorder, calls: tuple[ModuleCall, ...], error: BaseException | None
) -> Failure | None:
    if error is None:
        return None
    # The innermost call that this one went through was entered last; others may have been caught.
    chain = _chain(error)
    failed = next(
        (call for call in reversed(calls) if _went_through(recorder.spans[call.index], chain)), None
    )
    found = None
    if failed is not None:
        with suppress(Exception):  # a diagnosis that fails is none, and hides nothing
            found = diagnose(_scene(recorder, calls, failed, error))
    return Failure(
        path=failed.path if failed else "",
        type=type(error).__name__,
        message=_message(error),
        inputs=failed.inputs if failed else (),
        source=line_of(error),
        cause=found.cause if found else None,
        diagnosis=found.text if found else None,
    )


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception and those that it was raised from."""
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and not any(one is known for known in found):
        found.append(one)
        one = one.__cause__
    return found


def _went_through(span: Span, chain: Sequence[BaseException]) -> bool:
    """Tell whether a call ended in one of these exceptions; one without any was cut off by an interrupt."""
    if not span.failed:
        return False
    if span.error is None:
        return not isinstance(chain[0], Exception)
    return any(span.error is one for one in chain)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # somebody's own may fail at that, too
        return "(no message)"


def _scene(
    recorder: SpanRecorder, calls: tuple[ModuleCall, ...], failed: ModuleCall, error: BaseException
) -> FailureContext:
    root = failed
    while root.parent is not None:
        root = calls[root.parent]
    span = recorder.spans[failed.index]
    noted = recorder.operations
    operation = noted.failed if noted is not None and noted.error in _chain(error) else None
    return FailureContext(
        error=error,
        module=span.module,
        path=failed.path,
        inputs=span.inputs,
        ranges=span.ranges,
        producer=span.producer,
        root_inputs=recorder.spans[root.index].inputs,
        operation=operation.inputs if operation is not None else (),
    )
