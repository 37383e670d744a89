"""What this process holds of a spread model and does in each call: the records of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gptrace.measures import Measures
from gptrace.model.quiet_torch import torch
from gptrace.record import Here, ModuleCall, Traffic
from gptrace.record.mesh import counted
from gptrace.tracing.costs import costs_with_children
from gptrace.tracing.operations import Operation
from gptrace.tracing.parameters import ParameterRef, ancestors, count_by_module, is_lazy, parameter_refs
from gptrace.tracing.span import Span
from gptrace.tracing.spread.layout import parts_here

Module = torch.nn.Module


def here_of_calls(
    spans: Sequence[Span], modules: Sequence[tuple[str, Module]], measures: Measures
) -> list[Here]:
    """Return the part of this process in each call, with the calls inside it.

    `modules` are all modules of the model with their paths, parents before children.
    """
    costs = costs_with_children(spans) if measures.macs else []
    traffic = _traffic_with_children(spans)
    parameters = count_by_module(modules, _refs_here(modules))
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


def here_in_all(calls: Sequence[ModuleCall], modules: Sequence[tuple[str, Module]]) -> Here:
    """Return the part of this process in the whole model and in all its forward passes."""
    roots = [call.here for call in calls if call.parent is None and call.here is not None]
    refs = _refs_here(modules)
    peaks = [root.peak_bytes for root in roots if root.peak_bytes is not None]
    macs = [root.macs for root in roots if root.macs is not None]
    return Here(
        macs=sum(macs) if macs else None,
        macs_unknown=tuple(sorted({name for root in roots for name in root.macs_unknown})),
        parameters=sum(ref.elements for ref in refs),
        parameter_bytes=sum(ref.bytes for ref in refs),
        buffer_bytes=_buffer_bytes(modules).get("", 0),
        peak_bytes=max(peaks) if peaks else None,
        traffic=counted(message for root in roots for message in root.traffic),
    )


def _traffic_with_children(spans: Sequence[Span]) -> list[tuple[Traffic, ...]]:
    messages: list[list[Traffic]] = [list(span.traffic) for span in spans]
    for span in reversed(spans):  # children first: a parent stands before its children
        if span.parent is not None:
            messages[span.parent.index] += messages[span.index]
    return [counted(of_call) for of_call in messages]


def _refs_here(modules: Sequence[tuple[str, Module]]) -> list[ParameterRef]:
    """Return each parameter once, with the size of the part that this process holds."""
    parts = parts_here(module for _, module in modules)
    refs = []
    for ref in parameter_refs(modules):
        part = parts.get(id(ref.parameter))
        if part is not None:
            elements = part.local.numel()
            ref = ref._replace(
                elements=elements,
                trainable=elements if ref.trainable else 0,
                bytes=elements * part.local.element_size(),
            )
        refs.append(ref)
    return refs


def _buffer_bytes(modules: Iterable[tuple[str, Module]]) -> dict[str, int]:
    """Return the bytes of the buffers in each module, each once in a module, by path."""
    owners: dict[int, set[str]] = {}
    sizes: dict[int, int] = {}
    for path, module in modules:
        for buffer in module._buffers.values():
            if buffer is not None and not is_lazy(buffer):
                local = getattr(buffer, "_local_tensor", buffer)
                sizes[id(buffer)] = local.numel() * local.element_size()
                owners.setdefault(id(buffer), set()).update(ancestors(path))
    totals: dict[str, int] = {}
    for key, paths in owners.items():
        for path in paths:
            totals[path] = totals.get(path, 0) + sizes[key]
    return totals
