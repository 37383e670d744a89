"""The records of the part of a spread model that this process holds, and of its work in each call."""

from __future__ import annotations

from collections.abc import Sequence

from gptrace.measures import Measures
from gptrace.record import Here, ModuleCall, Traffic
from gptrace.record.mesh import counted
from gptrace.tracing.costs import costs_with_children
from gptrace.tracing.operations import Operation
from gptrace.tracing.parameters import ParameterRef, ancestors, buffers_of, count_by_module
from gptrace.tracing.span import Span
from gptrace.tracing.spread.parameters import Modules


def here_of_calls(
    spans: Sequence[Span], modules: Modules, held: Sequence[ParameterRef], measures: Measures
) -> list[Here]:
    """Return the part of this process in each call, with the calls inside it.

    `modules` are all modules of the model with their paths, parents before children; `held` are the
    parameters, with the sizes of their parts here.
    """
    costs = costs_with_children(spans) if measures.macs else []
    traffic = _traffic_with_children(spans)
    parameters = count_by_module(modules, held)
    buffers = _buffer_bytes(modules)
    parts = []
    for span in spans:
        count, cost = parameters.get(span.path), costs[span.index] if costs else None
        parts.append(
            Here(
                macs=None if cost is None else cost.macs,
                macs_unknown=() if cost is None else cost.unknown,
                parameters=0 if count is None else count.total,
                parameter_bytes=0 if count is None else count.bytes,
                buffer_bytes=buffers.get(span.path, 0),
                peak_bytes=span.peak_bytes if measures.memory else None,
                traffic=traffic[span.index],
            )
        )
    return parts


def here_of_operation(operation: Operation, measures: Measures) -> Here | None:
    """Return the part of this process in an operation; None where nothing was measured."""
    traffic = counted(operation.traffic)
    if measures.macs:
        unknown = tuple(sorted(operation.unknown))
        return Here(macs=operation.macs, macs_unknown=unknown, traffic=traffic)
    return Here(traffic=traffic) if traffic else None


def here_in_all(calls: Sequence[ModuleCall], modules: Modules, held: Sequence[ParameterRef]) -> Here:
    """Return the part of this process in the whole model and in all its forward passes."""
    roots = [call.here for call in calls if call.parent is None and call.here is not None]
    peaks = [root.peak_bytes for root in roots if root.peak_bytes is not None]
    macs = [root.macs for root in roots if root.macs is not None]
    return Here(
        macs=sum(macs) if macs else None,
        macs_unknown=tuple(sorted({name for root in roots for name in root.macs_unknown})),
        parameters=sum(ref.elements for ref in held),
        parameter_bytes=sum(ref.bytes for ref in held),
        buffer_bytes=_buffer_bytes(modules).get("", 0),
        peak_bytes=max(peaks) if peaks else None,
        traffic=counted(message for root in roots for message in root.traffic),
    )


def _traffic_with_children(spans: Sequence[Span]) -> list[tuple[Traffic, ...]]:
    messages: list[list[Traffic]] = [list(span.traffic) for span in spans]
    for span in reversed(spans):  # in reverse order, children come before their parent
        if span.parent is not None:
            messages[span.parent.index] += messages[span.index]
    return [counted(of_call) for of_call in messages]


def _buffer_bytes(modules: Modules) -> dict[str, int]:
    """Return the bytes of the buffers in each module, each once in a module, by path."""
    owners: dict[int, set[str]] = {}
    sizes: dict[int, int] = {}
    for path, buffer in buffers_of(modules):
        local = getattr(buffer, "_local_tensor", buffer)
        sizes[id(buffer)] = local.numel() * local.element_size()
        owners.setdefault(id(buffer), set()).update(ancestors(path))
    totals: dict[str, int] = {}
    for key, paths in owners.items():
        for path in paths:
            totals[path] = totals.get(path, 0) + sizes[key]
    return totals
