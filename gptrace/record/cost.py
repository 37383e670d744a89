"""Multiply-accumulates, and the kernels whose cost is unknown."""

from __future__ import annotations

from typing import Annotated

from gptrace.record.base import Count, Record, about

Macs = Annotated[Count | None, about("multiply-accumulates in matrix products, convolutions and attention")]
UnknownMacs = Annotated[tuple[str, ...], about("kernels of unknown cost, which are not in macs")]


class Cost(Record, frozen=True):
    """Multiply-accumulates (MACs); `unknown` names the kernels whose cost is not in `macs`."""

    macs: int
    unknown: tuple[str, ...] = ()


class HasCost:
    """A record with the fields `macs` and `macs_unknown`."""

    __slots__ = ()
    macs: int | None
    macs_unknown: tuple[str, ...]

    @property
    def cost(self) -> Cost | None:
        """The MACs, where they were counted."""
        return None if self.macs is None else Cost(self.macs, self.macs_unknown)
