"""The model that a report is about."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import field

from gptrace.record.base import Count, Record, about


class ParameterTotals(Record, frozen=True):
    """The parameters of a model."""

    total: Annotated[Count, about("a tensor with two names counts twice")]
    unique: Annotated[Count, about("each tensor counts once")]
    trainable: Annotated[Count, about("those that require gradients")]
    bytes: Annotated[Count, about("of the unique parameters")]
    tied: Annotated[tuple[tuple[str, ...], ...], about("names that share one tensor")]
    without_out_head: Annotated[Count | None, about("unique, less those of the output head alone")] = None


class DeviceShare(Record, frozen=True):
    """The parameters on one device, or on the disk."""

    parameters: Annotated[Count, about("how many numbers, each tensor counted once")]
    bytes: Annotated[Count, about("their bytes")]


class Buffers(Record, frozen=True):
    """The buffers of a model."""

    bytes: Annotated[Count, about("bytes in memory")]


class ProductRates(Record, frozen=True):
    """How fast a machine multiplies matrices, in 10⁹ floating-point operations a second."""

    float32: Annotated[float, about("in float32")]
    bfloat16: Annotated[float, about("in bfloat16")]


class ModelInfo(Record, frozen=True, kw_only=True):
    """The model that ran: its name for people, its class, its weights and its size."""

    name: Annotated[str, about("name of the preset, or of what --model named")]
    class_name: Annotated[str, about("class of the module")] = field(name="class")
    config: Annotated[dict[str, Any] | None, about("configuration keys and values")] = None
    weights: Annotated[
        dict[str, Any] | None, about("`source` is their origin, `seed` that of random ones")
    ] = None
    parameters: Annotated[ParameterTotals, about("how many numbers it has")]
    buffers: Annotated[Buffers, about("tensors that are no parameters")]
    dtype: Annotated[str, about("dtype of the parameters")]
    device: Annotated[str, about("device of the parameters; while it runs, where they are brought in")]
    parameters_by_device: Annotated[
        dict[str, DeviceShare] | None,
        about("where the parameters are between calls, disk among them, if that is not `device` alone"),
    ] = None
    dtype_rates: Annotated[
        ProductRates | None, about("matrix products that were measured to pick the dtype, for `--dtype auto`")
    ] = None
