"""Describe tensors with the names of their axes: TensorInfo → TensorSpec."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from msgspec.structs import replace

from gptrace.model.dtypes import dtype_name
from gptrace.record import Statistics, TensorSpec
from gptrace.tracing.axis_names import AxisNames, Dims
from gptrace.tracing.resized_runs import Side
from gptrace.tracing.tensors import TensorInfo

_CACHE_LIMIT = 100_000


class TensorSpecs:
    """Makes the TensorSpecs of one forward pass, and shares those that repeat.

    With axis names, the specs are cached with the names, by place: a model that is traced again and again
    makes them once. Without names, a spec is the same in all places.
    """

    def __init__(self, names: AxisNames | None) -> None:
        self._names = names
        self._cache: dict[object, tuple[TensorSpec, ...]] = names.specs if names is not None else {}

    def of(self, side: Side, infos: tuple[TensorInfo, ...]) -> tuple[TensorSpec, ...]:
        """Return the specs of the tensors on one side of a call, its inputs or its outputs."""
        key = (side, infos) if self._names is not None else infos
        specs = self._cache.get(key)
        if specs is None:
            if len(self._cache) >= _CACHE_LIMIT:  # full of shapes that never return
                self._cache.clear()
            specs = self._cache[key] = tuple([_tensor_spec(info, self._dims(side, info)) for info in infos])
        return specs

    def _dims(self, side: Side, info: TensorInfo) -> Dims:
        return self._names.of(side, info.name, info.shape) if self._names else tuple(map(str, info.shape))


@lru_cache(maxsize=10_000)
def _tensor_spec(info: TensorInfo, dims: Dims) -> TensorSpec:
    dtype, device = dtype_name(info.dtype), str(info.device)
    return TensorSpec(info.name, info.shape, dims, dtype, device, info.local_shape)


def with_statistics(
    specs: Sequence[TensorSpec], statistics: Sequence[Statistics | None]
) -> tuple[TensorSpec, ...]:
    """Return copies of the specs, each with the statistics of its tensor."""
    pairs = zip(specs, statistics, strict=True)
    return tuple([replace(spec, statistics=of_tensor) for spec, of_tensor in pairs])
