"""Sizes that a dimension of a mesh has to divide."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gptrace.errors import ConfigError

_MOST_NAMED = 12


def check_divides(sizes: Mapping[str, int], name: str, parts: int) -> None:
    """Raise a ConfigError unless `parts`, the size of the mesh dimension `name`, divides each of the sizes.

    >>> check_divides({"n_heads": 4}, "tp", 8)
    Traceback (most recent call last):
      ...
    gptrace.errors.ConfigError: tp=8 does not divide n_heads 4 (pick a size of tp that does: 1, 2, 4)
    """
    for size_name, size in sizes.items():
        if size % parts:
            divisors = _divisors(size)
            more = ", …" if len(divisors) > _MOST_NAMED else ""
            named = ", ".join(map(str, divisors[:_MOST_NAMED])) + more
            hint = f"pick a size of {name} that does: {named}"
            raise ConfigError(f"{name}={parts} does not divide {size_name} {size}", hint, option="mesh")


def _divisors(size: int) -> list[int]:
    """Return the divisors of a size, which may be in the billions, in ascending order."""
    low = [each for each in range(1, math.isqrt(size) + 1) if size % each == 0]
    high = [size // each for each in reversed(low)]
    return low + high[low[-1] == high[0] :]
