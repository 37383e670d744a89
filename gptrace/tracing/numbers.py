"""The numbers that pass between calls: their statistics, and where the first NaN comes from."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from threading import get_ident
from typing import NamedTuple

from gptrace.model.quiet_torch import torch
from gptrace.record import Statistics
from gptrace.tracing.costs import CostMode
from gptrace.tracing.statistics import is_all_finite, statistics_of
from gptrace.tracing.tensors import tensors_in

Tensor = torch.Tensor
_MOST = 1000


class _Look(NamedTuple):
    """What was seen of a tensor, where it was then, and its statistics if they were taken."""

    tensor: weakref.ref[Tensor]
    place: int
    is_finite: bool
    statistics: Sequence[Statistics | None] = ()


class Numbers:
    """Looks at the numbers of what calls take and return, and once where nothing can have changed.

    A module often returns what its last part made, or takes what the one before it made. Such a tensor is the
    same still where no kernel wrote to anything since; only the mode that counts kernels can tell, and only
    of its own thread.
    """

    def __init__(self, kernels: CostMode | None) -> None:
        self._kernels = kernels
        self._thread = get_ident()
        self._writes = 0
        self._looks: dict[int, _Look] = {}  # by id: the same one, while the tensor lives

    def statistics(self, output: object) -> Sequence[Statistics | None]:
        """Return the statistics of each tensor in what a call returned."""
        if type(output) is not Tensor:
            return [statistics_of(tensor) for _, tensor in tensors_in("", output)]
        known = self._known(output)
        if known is not None and known.statistics:
            return known.statistics
        found = statistics_of(output)
        self._keep(output, found is not None and not (found.nan or found.infinite), (found,))
        return (found,)

    def are_finite(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> bool:
        """Tell whether what a call was given surely holds neither NaN nor an infinity."""
        if len(args) == 1 and type(args[0]) is Tensor and not kwargs:
            return self._is_finite(args[0])
        return all(self._is_finite(tensor) for _, tensor in tensors_in("", (args, kwargs)))

    def _is_finite(self, tensor: Tensor) -> bool:
        if not tensor.is_floating_point():
            return is_all_finite(tensor)
        known = self._known(tensor)
        if known is not None:
            return known.is_finite
        is_finite = is_all_finite(tensor)
        self._keep(tensor, is_finite)
        return is_finite

    def _known(self, tensor: Tensor) -> _Look | None:
        if self._kernels is None or get_ident() != self._thread:
            return None
        if self._kernels.writes != self._writes or len(self._looks) > _MOST:
            self._looks.clear()
            self._writes = self._kernels.writes
        look = self._looks.get(id(tensor))
        return look if look is not None and look.tensor() is tensor and look.place == _place(tensor) else None

    def _keep(self, tensor: Tensor, is_finite: bool, statistics: Sequence[Statistics | None] = ()) -> None:
        if self._kernels is not None and get_ident() == self._thread:
            self._looks[id(tensor)] = _Look(weakref.ref(tensor), _place(tensor), is_finite, statistics)


def _place(tensor: Tensor) -> int:
    try:
        return tensor.data_ptr()
    except RuntimeError:  # a wrapped one is nowhere
        return 0


def spoiled(statistics: Sequence[Statistics | None]) -> str:
    """Return what numbers that are none a call returned: "NaN", "Inf", or nothing."""
    found = [one for one in statistics if one is not None]
    return "NaN" if any(one.nan for one in found) else "Inf" if any(one.infinite for one in found) else ""
