"""Optional measurements of a trace. Each costs time or memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gptrace.errors import OptionError

MEASURES = ("ops", "macs", "memory", "statistics")


@dataclass(frozen=True, slots=True)
class Measures:
    """The measurements to take beside the shapes.

    ops          functional operations inside the modules
    macs         multiply-accumulates
    memory       memory of activations
    statistics   statistics of outputs
    """

    ops: bool = False
    macs: bool = False
    memory: bool = False
    statistics: bool = False

    @classmethod
    def of(cls, names: Iterable[str] | Measures) -> Measures:
        """Return the measures with these names; "all" stands for every one.

        Raises OptionError for an unknown name.

        >>> Measures.of(["ops"]).ops
        True
        """
        if isinstance(names, Measures):
            return names
        chosen = {names} if isinstance(names, str) else set(names)
        if "all" in chosen:
            chosen = set(MEASURES)
        for name in sorted(chosen.difference(MEASURES)):
            raise OptionError(f"{name!r} is not a measurement", f"pick one of {', '.join(MEASURES)}, all")
        return cls(**dict.fromkeys(chosen, True))


SHAPES_ONLY = Measures()
