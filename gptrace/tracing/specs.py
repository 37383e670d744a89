"""What a tensor looked like, with the names of its axes → TensorSpec."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from gptrace.record import Statistics, TensorSpec
from gptrace.tracing.axis_names import AxisNames, Dims
from gptrace.tracing.model_facts import dtype_name
from gptrace.tracing.resized_runs import Where
from gptrace.tracing.tensors import TensorInfo

_MOST_KEPT = 100_000


class Specs:
    """Makes the TensorSpecs of one forward pass; the blocks of a model share most of user_code_errors.

    With names, what a place had is kept with them, for who watches one model again and again; without any,
    all places are alike.
    """

    def __init__(self, names: AxisNames | None) -> None:
        self._names = names
        self._known: dict[object, tuple[TensorSpec, ...]] = names.specs if names is not None else {}

    def of(self, where: Where, seen: tuple[TensorInfo, ...]) -> tuple[TensorSpec, ...]:
        """Return the records of the tensors that came to one place, or left it."""
        key = (where, seen) if self._names is not None else seen
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST_KEPT:  # of shapes that never come again
                self._known.clear()
            known = self._known[key] = tuple([self._spec(where, one) for one in seen])
        return known

    def _spec(self, where: Where, seen: TensorInfo) -> TensorSpec:
        dims = self._names.of((*where, seen.name), seen.shape) if self._names else tuple(map(str, seen.shape))
        return _made(seen, dims)


@lru_cache(maxsize=10_000)
def _made(seen: TensorInfo, dims: Dims) -> TensorSpec:
    return TensorSpec(
        name=seen.name,
        shape=seen.shape,
        dims=dims,
        dtype=dtype_name(seen.dtype),
        device=str(seen.device),
        local_shape=seen.local_shape,
    )


def with_statistics(
    specs: Sequence[TensorSpec], statistics: Sequence[Statistics | None]
) -> tuple[TensorSpec, ...]:
    """Return records with the statistics of each tensor."""
    return tuple(
        [
            TensorSpec(spec.name, spec.shape, spec.dims, spec.dtype, spec.device, spec.local_shape, of_this)
            for spec, of_this in zip(specs, statistics, strict=True)
        ]
    )
