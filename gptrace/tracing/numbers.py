"""The numbers that pass between calls: their statistics, and where the first NaN comes from."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import get_ident

from gptrace.model.quiet_torch import torch
from gptrace.record import Statistics
from gptrace.tracing.costs import CostMode
from gptrace.tracing.statistics import is_all_finite, statistics_of
from gptrace.tracing.tensors import tensors_in

Tensor = torch.Tensor
Moment = tuple[int, int]  # how many kernels had written to anything by then, and where a tensor was


class Numbers:
    """Looks at the numbers of what calls take and return, and remembers what it saw last.

    A module often returns what its last part made, or takes what the one before it made. Such a tensor is the
    same still where no kernel wrote to anything since; only the mode that counts kernels can tell, and only
    of its own thread.
    """

    def __init__(self, kernels: CostMode | None) -> None:
        self._kernels = kernels
        self._thread = get_ident()
        self._latest: weakref.ref[Tensor] | None = None
        self._moment: Moment | None = None
        self._statistics: Sequence[Statistics | None] = ()

    def statistics(self, output: object) -> Sequence[Statistics | None]:
        """Return the statistics of each tensor in what a call returned."""
        if type(output) is not Tensor:
            return [statistics_of(tensor) for _, tensor in tensors_in("", output)]
        moment = self._now(output)
        if not self._is_latest(output, moment):
            self._statistics = (statistics_of(output),)
            self._latest, self._moment = weakref.ref(output), moment
        return self._statistics

    def are_finite(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> bool:
        """Tell whether what a call was given surely holds neither NaN nor an infinity."""
        if len(args) == 1 and type(args[0]) is Tensor and not kwargs:
            return self._is_finite(args[0])
        return all(self._is_finite(tensor) for _, tensor in tensors_in("", (args, kwargs)))

    def _is_finite(self, tensor: Tensor) -> bool:
        if self._is_latest(tensor, self._now(tensor)):
            known = self._statistics[0]
            return known is None or not (known.nan or known.infinite)
        return is_all_finite(tensor)

    def _now(self, tensor: Tensor) -> Moment | None:
        if self._kernels is not None and get_ident() == self._thread:
            with suppress(RuntimeError):  # a wrapped one is nowhere
                return self._kernels.writes, tensor.data_ptr()
        return None

    def _is_latest(self, tensor: Tensor, moment: Moment | None) -> bool:
        is_then = moment is not None and moment == self._moment
        return is_then and self._latest is not None and self._latest() is tensor


def spoiled(statistics: Sequence[Statistics | None]) -> str:
    """Return what numbers that are none a call returned: "NaN", "Inf", or nothing."""
    found = [one for one in statistics if one is not None]
    return "NaN" if any(one.nan for one in found) else "Inf" if any(one.infinite for one in found) else ""
