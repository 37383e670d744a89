"""This process among those that torchrun or a similar launcher started: WORLD_SIZE and RANK."""

from __future__ import annotations

import os


def is_launched() -> bool:
    """Tell whether a launcher started this process, even as the only one."""
    return _number("WORLD_SIZE", 0) > 0


def world_size() -> int:
    """Return how many processes the launcher started; 1 without a launcher."""
    return max(1, _number("WORLD_SIZE", 1))


def rank() -> int:
    """Return the number of this process among them; 0 is the first, which alone prints."""
    return _number("RANK", 0) if world_size() > 1 else 0


def _number(variable: str, default: int) -> int:
    value = os.environ.get(variable, "")
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else default
