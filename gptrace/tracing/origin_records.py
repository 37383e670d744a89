"""The origins in a trace: who made a tensor, by the numbers of its call and its operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from msgspec.structs import replace

from gptrace.record import Origin, TensorSpec
from gptrace.tracing.operations import Operation
from gptrace.tracing.span import Source, Sources, Span

# The fields `call`, `op`, `output`, `input` and `parameter` of an Origin, then those of each of `also`. They
# are compared with those of the last pass, and a comparison of records takes many times as long.
_Numbers = tuple[int | None, int | None, int | None, str | None, str | None]
_Fields = tuple[_Numbers, ...]
_Origins = Sequence[_Fields]


class CallOrigins(NamedTuple):
    """Where the inputs and the outputs of a call came from, and the inputs of each operation in it."""

    inputs: _Origins
    outputs: _Origins
    ops: Sequence[_Origins]


def origins_of_pass(
    spans: Sequence[Span], operations: Mapping[Span, Sequence[Operation]]
) -> list[CallOrigins]:
    """Return the origins of one forward pass, call by call; empty ones where they were not followed."""
    return [
        CallOrigins(
            [_fields(sources) for sources in span.input_sources],
            [_fields(sources) for sources in span.output_sources],
            [[_fields(sources) for sources in each.sources] for each in operations.get(span, ())],
        )
        for span in spans
    ]


def _fields(sources: Sources) -> _Fields:
    """Return the fields of the origins; () where any of them is unknown."""
    fields = tuple([_numbers(source) for source in sources])
    return () if None in fields else fields  # type: ignore[return-value]


def _numbers(source: Source) -> _Numbers | None:
    maker, output = source
    if type(maker) is Operation:
        # Outside of all calls, an operation is in no list.
        return None if maker.parent is None else (maker.parent.index, maker.number, output, None, None)
    if type(maker) is Span:
        return maker.index, None, output, None, None
    return None, None, None, maker.input, maker.parameter


@lru_cache(maxsize=10_000)
def _origin(fields: _Fields) -> Origin:
    return Origin(*fields[0], tuple([Origin(*each) for each in fields[1:]]))


def with_origins(specs: Sequence[TensorSpec], origins: _Origins) -> tuple[TensorSpec, ...]:
    """Return copies of the specs, each with the origin of its tensor where it is known."""
    if not any(origins):
        return tuple(specs)
    pairs = zip(specs, origins, strict=True)
    return tuple([replace(spec, origin=_origin(fields)) if fields else spec for spec, fields in pairs])
