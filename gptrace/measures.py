"""What a trace can take beside the shapes, each at some cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gptrace.errors import OptionError

MEASURES = ("ops", "macs", "memory", "statistics")


@dataclass(frozen=True, slots=True)
class Measures:
    """Functional operations, multiply-accumulates, memory of activations, statistics of outputs."""

    ops: bool = False
    macs: bool = False
    memory: bool = False
    statistics: bool = False

    @classmethod
    def of(cls, names: Iterable[str] | Measures) -> Measures:
        """Return the measures of those names; "all" stands for each of them.

        >>> Measures.of(["ops"]).ops
        True
        """
        if isinstance(names, Measures):
            return names
        wanted = {names} if isinstance(names, str) else set(names)
        if "all" in wanted:
            wanted = set(MEASURES)
        unknown = sorted(wanted.difference(MEASURES))
        if unknown:
            raise OptionError(f"{unknown[0]!r} is nothing to measure", f"known: {', '.join(MEASURES)}, all")
        return cls(**dict.fromkeys(wanted, True))
