"""Describe tensors with the names of their axes: TensorInfo → TensorSpec."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from msgspec.structs import replace

from gptrace.model.dtypes import dtype_name
from gptrace.record import Statistics, TensorSpec
from gptrace.tracing.axis_names import AxisNames
from gptrace.tracing.operations import Operation, numbered_operations
from gptrace.tracing.span import Occurrence, Span, numbered_calls
from gptrace.tracing.tensors import TensorInfo

Infos = tuple[TensorInfo, ...]
Specs = tuple[TensorSpec, ...]
_SpecsOf = Callable[[Occurrence, str, Infos], Specs]


class CallSpecs(NamedTuple):
    """The tensors of a call, and the inputs and outputs of each operation in it."""

    inputs: Specs
    outputs: Specs
    ops: Sequence[tuple[Specs, Specs]] = ()


def specs_of_pass(
    spans: Sequence[Span], operations: Mapping[Span, Sequence[Operation]], names: AxisNames | None
) -> tuple[Sequence[CallSpecs], Set[str]]:
    """Return the specs of each call of one forward pass, and the axis names in them where they are known.

    A model that is traced again and again sees the same tensors in the same places. So the specs of the last
    pass are kept with its names, and made anew only for a pass that differs in any call or tensor.
    """
    if names is None:
        return _specs(spans, operations, _numbered_specs()), frozenset()
    seen = (
        [(span.path, span.class_name, span.inputs, span.outputs) for span in spans],
        [
            [(each.name, each.source, each.inputs, each.outputs) for each in operations.get(span, ())]
            for span in (spans if operations else ())
        ],
    )
    last_seen, result = names.last_pass  # read at once, since another thread may replace both
    if last_seen != seen:
        specs = _specs(spans, operations, _named_specs(names))
        result = specs, _axis_names(specs)
        names.last_pass = seen, result
    return result  # type: ignore[no-any-return]


def _axis_names(specs: Iterable[CallSpecs]) -> frozenset[str]:
    tensors = [pair for call in specs for pair in ((call.inputs, call.outputs), *call.ops)]
    dims = {spec.dims for inputs, outputs in tensors for spec in (*inputs, *outputs)}
    return frozenset(chain.from_iterable(dims))


def _specs(
    spans: Sequence[Span], operations: Mapping[Span, Sequence[Operation]], specs_of: _SpecsOf
) -> list[CallSpecs]:
    specs = []
    for span, call in numbered_calls(spans):
        in_call = operations.get(span, ())
        ops = [
            (specs_of(at, "input", operation.inputs), specs_of(at, "output", operation.outputs))
            for operation, at in zip(in_call, numbered_operations(in_call, call), strict=True)
        ]
        inputs, outputs = specs_of(call, "input", span.inputs), specs_of(call, "output", span.outputs)
        specs.append(CallSpecs(inputs, outputs, ops))
    return specs


def _named_specs(names: AxisNames) -> _SpecsOf:
    def specs_of(occurrence: Occurrence, direction: str, infos: Infos) -> Specs:
        side = occurrence, direction
        return tuple([_tensor_spec(info, names.of(side, info.name, info.shape)) for info in infos])

    return specs_of


def _numbered_specs() -> _SpecsOf:
    """Return how to describe tensors without axis names; equal ones are described once, wherever they are."""
    known: dict[Infos, Specs] = {}

    def specs_of(occurrence: Occurrence, direction: str, infos: Infos) -> Specs:
        specs = known.get(infos)
        if specs is None:
            specs = known[infos] = tuple([_tensor_spec(info, tuple(map(str, info.shape))) for info in infos])
        return specs

    return specs_of


@lru_cache(maxsize=10_000)
def _tensor_spec(info: TensorInfo, dims: tuple[str, ...]) -> TensorSpec:
    dtype, device = dtype_name(info.dtype), str(info.device)
    placements = dict(info.placements) or None
    return TensorSpec(info.name, info.shape, dims, dtype, device, info.local_shape, info.split_by, placements)


def with_statistics(
    specs: Sequence[TensorSpec], statistics: Sequence[Statistics | None]
) -> tuple[TensorSpec, ...]:
    """Return copies of the specs, each with the statistics of its tensor."""
    pairs = zip(specs, statistics, strict=True)
    return tuple([replace(spec, statistics=of_tensor) for spec, of_tensor in pairs])
