"""A forward pass of a spread model beside that of its twin: whole shapes, and the split of each axis.

Calls are paired by their path and number, operations by their name and line as well, tensors by their name.
Where a pair is missing or its shapes cannot be those of a whole and its part, nothing is said of the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from gptrace.measures import Measures
from gptrace.model.quiet_torch import torch
from gptrace.tracing.isolation import isolated_run
from gptrace.tracing.operations import Operation, numbered_operations
from gptrace.tracing.parameters import named_modules_with_aliases
from gptrace.tracing.recorder import SpanRecorder
from gptrace.tracing.span import Occurrence, Span, numbered_calls
from gptrace.tracing.spread.root_call import RootCall
from gptrace.tracing.tensors import TensorInfo

Module = torch.nn.Module
Infos = tuple[TensorInfo, ...]
Shape = tuple[int, ...]


class Pass(NamedTuple):
    """The calls of one forward pass, in order, and the operations in each."""

    spans: Sequence[Span]
    operations: Mapping[Span, Sequence[Operation]]


def run_whole(twin: Module, root: RootCall, measures: Measures) -> Pass | None:
    """Let the twin make the call that a spread model has made; None where it cannot.

    Where the model's own call raised, that of the twin may raise as well.
    """
    module = dict(named_modules_with_aliases(twin)).get(root.span.path)
    if module is None or root.arguments is None:
        return None
    measured = Measures(ops=measures.ops, macs=measures.macs, memory=measures.memory)
    recorder = SpanRecorder(twin, measured)
    args, kwargs = root.arguments
    try:
        with (
            isolated_run(inference=False),
            torch.set_grad_enabled(root.has_gradients),
            torch.device("meta"),
            recorder,
        ):
            module(*args, **kwargs)
    except Exception:  # tensors on device meta have no numbers, and the code may need some
        if not root.span.failed:
            return None
    spans = list(recorder.spans)
    for index, span in enumerate(spans):
        span.index = index
    whole = Pass(spans, recorder.operations_by_call())
    recorder.release()
    return whole


class MeshDims(NamedTuple):
    """The dimensions of a mesh that may split an axis: their sizes, and the place of this process in each."""

    sizes: Mapping[str, int]
    coordinate: Mapping[str, int]

    def split(self, whole: int, local: int) -> tuple[str, ...] | None:
        """Return the dimensions that split an axis into parts of which this process has `local` elements.

        None where none do, or it cannot be known which. torch cuts as `torch.chunk` does: all parts are of
        the same size, but the last ones may be smaller.

        >>> MeshDims({"dp": 2, "tp": 4}, {"dp": 0, "tp": 3}).split(10, 1)
        ('tp',)
        >>> MeshDims({"a": 2, "b": 2}, {"a": 0, "b": 0}).split(10, 5) is None
        True
        """
        if whole == local:
            return ()
        fitting = [
            names
            for count in range(1, len(self.sizes) + 1)
            for names in combinations(self.sizes, count)
            if self._part(whole, names) == local
        ]
        return fitting[0] if len(fitting) == 1 else None

    def _part(self, size: int, names: Sequence[str]) -> int:
        for name in names:
            chunk = -(-size // self.sizes[name])
            size = max(0, min(chunk, size - chunk * self.coordinate[name]))
        return size


def pair(real: Pass, whole: Pass | None, dims: MeshDims) -> None:
    """Give the tensors of a real pass their whole shapes, and its calls and operations their twins.

    `dims` are the mesh dimensions along which processes share work. Without a twin, the shapes are whole as
    they are if processes share no work; if they do, only DTensors know their whole shape.
    """
    twins = {} if whole is None else {call: span for span, call in numbered_calls(whole.spans)}
    for span, call in numbered_calls(real.spans):
        twin = span.twin = twins.get(call)
        span.inputs = _whole_infos(span.inputs, twin.inputs if twin else None, dims)
        span.outputs = _whole_infos(span.outputs, twin.outputs if twin else None, dims)
        operations = real.operations.get(span, ())
        of_twin = _by_occurrence(whole, twin, call)
        for operation, at in zip(operations, numbered_operations(operations, call), strict=True):
            other = of_twin.get(at)
            operation.inputs = _whole_infos(operation.inputs, other.inputs if other else None, dims)
            operation.outputs = _whole_infos(operation.outputs, other.outputs if other else None, dims)
            operation.twin = other


def _by_occurrence(whole: Pass | None, twin: Span | None, call: Occurrence) -> dict[Occurrence, Operation]:
    if whole is None or twin is None:
        return {}
    operations = whole.operations.get(twin, ())
    return dict(zip(numbered_operations(operations, call), operations, strict=True))


def _whole_infos(infos: Infos, whole: Infos | None, dims: MeshDims) -> Infos:
    """Return the descriptions of tensors with whole and local shapes, as far as both are known."""
    if not dims.sizes:
        return tuple([_unsplit(info) for info in infos])
    by_name = {info.name: info for info in whole or ()}
    return tuple([_whole_info(info, by_name.get(info.name), dims) for info in infos])


def _unsplit(info: TensorInfo) -> TensorInfo:
    if info.local_shape is not None:
        return info
    return info._replace(local_shape=info.shape, split_by=((),) * len(info.shape))


def _whole_info(info: TensorInfo, whole: TensorInfo | None, dims: MeshDims) -> TensorInfo:
    if info.local_shape is not None or whole is None or len(whole.shape) != len(info.shape):
        return info  # a DTensor knows itself
    if any(local > size for local, size in zip(info.shape, whole.shape, strict=True)):
        return info
    split_by = [dims.split(size, local) for size, local in zip(whole.shape, info.shape, strict=True)]
    known = tuple(names for names in split_by if names is not None)
    return info._replace(
        shape=whole.shape,
        local_shape=info.shape,
        split_by=known if len(known) == len(split_by) else (),  # all of it or nothing
    )
