"""The tensors and the operations of each call as the trace shows them, with where each tensor came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from msgspec.structs import replace

from gptrace.notebook_cells import cell_of
from gptrace.record import OpCall, Origin
from gptrace.tracing.axis_names import AxisNames
from gptrace.tracing.operations import Operation
from gptrace.tracing.span import Source, Sources, Span
from gptrace.tracing.tensor_specs import CallSpecs, Specs


class CallRecords(NamedTuple):
    """What a trace shows of a call, apart from what is measured."""

    inputs: Specs
    outputs: Specs
    ops: tuple[OpCall, ...] = ()


def records_of_pass(
    spans: Sequence[Span],
    operations: Mapping[Span, Sequence[Operation]],
    specs: Sequence[CallSpecs],
    names: AxisNames | None,
) -> Sequence[CallRecords]:
    """Return the records of each call of one forward pass, given the specs of its tensors.

    As with the specs, those of the last pass are kept with its names. They are made anew if an operation ran
    at another place or a tensor came from somewhere else.
    """
    seen = [
        (
            span.input_sources,
            span.output_sources,
            [(each.place, each.is_view, each.in_place, each.sources) for each in operations.get(span, ())],
        )
        for span in spans
    ]
    if names is not None:
        last_specs, last_seen, result = names.last_records  # at once, since another thread may replace them
        if last_specs is specs and last_seen == seen:
            return result  # type: ignore[no-any-return]
    records = [
        CallRecords(
            _with_origins(of_call.inputs, span.input_sources),
            _with_origins(of_call.outputs, span.output_sources),
            tuple(map(_op_call, operations.get(span, ()), of_call.ops)),
        )
        for span, of_call in zip(spans, specs, strict=True)
    ]
    if names is not None:
        names.last_records = specs, seen, records
    return records


def _op_call(operation: Operation, specs: tuple[Specs, Specs]) -> OpCall:
    file, _, line = operation.source.rpartition(":")
    cell = cell_of(file)
    return OpCall(
        name=operation.name,
        place=operation.place,
        inputs=_with_origins(specs[0], operation.sources),
        outputs=specs[1],
        is_view=operation.is_view,
        in_place=operation.in_place,
        source=operation.source if cell is None else f"{cell.file}:{line}",
        cell=None if cell is None else cell.number,
    )


def _with_origins(specs: Specs, sources_of: Sequence[Sources]) -> Specs:
    """Return copies of the specs, each with the origin of its tensor where it is known."""
    if not any(sources_of):
        return specs
    pairs = zip(specs, sources_of, strict=True)
    return tuple([replace(spec, origin=_origin(sources)) if sources else spec for spec, sources in pairs])


@lru_cache(maxsize=10_000)
def _origin(sources: Sources) -> Origin:
    first: Source = sources[0]
    return Origin(*first, tuple([Origin(*source) for source in sources[1:]]))
