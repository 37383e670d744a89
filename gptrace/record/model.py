"""The model that a report is about."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, field

from gptrace.record.base import Count, Record


class ParameterTotals(Record, frozen=True):
    """The parameters of a model."""

    total: Annotated[Count, Meta(description="a tensor with two names counts twice")]
    unique: Annotated[Count, Meta(description="each tensor counts once")]
    trainable: Count
    bytes: Annotated[Count, Meta(description="of the unique parameters")]
    tied: Annotated[tuple[tuple[str, ...], ...], Meta(description="names that share one tensor")]
    without_out_head: Annotated[
        Count | None, Meta(description="unique, without the parameters of the output head alone")
    ] = None


class Buffers(Record, frozen=True):
    """The buffers of a model."""

    bytes: Count


class ModelInfo(Record, frozen=True, kw_only=True):
    """The model that ran: its name for people, its class, its weights and its size."""

    name: str
    class_name: str = field(name="class")
    config: Annotated[dict[str, Any] | None, Meta(description="configuration keys and values")] = None
    weights: Annotated[
        dict[str, Any] | None,
        Meta(description="`source` says where they come from; with random weights, `seed` is their seed"),
    ] = None
    parameters: ParameterTotals
    buffers: Buffers
    dtype: str
    device: str
