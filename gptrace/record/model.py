"""The model that a report is about."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import field

from gptrace.record.base import Count, Record, about


class ParameterTotals(Record, frozen=True):
    """The parameters of a model."""

    total: Annotated[Count, about("a tensor with two names counts twice")]
    unique: Annotated[Count, about("each tensor counts once")]
    trainable: Count
    bytes: Annotated[Count, about("of the unique parameters")]
    tied: Annotated[tuple[tuple[str, ...], ...], about("names that share one tensor")]
    without_out_head: Annotated[Count | None, about("unique, less those of the output head alone")] = None


class Buffers(Record, frozen=True):
    """The buffers of a model."""

    bytes: Count


class ModelInfo(Record, frozen=True, kw_only=True):
    """The model that ran: its name for people, its class, its weights and its size."""

    name: str
    class_name: str = field(name="class")
    config: Annotated[dict[str, Any] | None, about("configuration keys and values")] = None
    weights: Annotated[
        dict[str, Any] | None, about("`source` is their origin, `seed` that of random ones")
    ] = None
    parameters: ParameterTotals
    buffers: Buffers
    dtype: str
    device: str
