"""Prompts that begin alike: which of them to run together, so that their beginning is computed once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

SHORTEST = 16  # ids
# A group takes two passes of its own, which read all weights: as much work as some hundred ids.
_LEAST_SAVED = 512  # ids

Ids = Sequence[int]


class Group(NamedTuple):
    """The numbers of prompts whose first `shared` ids are the same; 0 where nothing is shared."""

    numbers: list[int]
    shared: int


def shared_length(rows: Sequence[Ids]) -> int:
    """Return how many ids all prompts share at their beginning; each has at least one more.

    >>> shared_length([[1, 2, 3], [1, 2], [1, 2, 4, 5]])
    1
    """
    # In order, the others are between these two, and share what they share.
    first, last = min(rows, key=tuple), max(rows, key=tuple)
    length = min(map(len, rows)) - 1
    return next((number for number in range(length) if first[number] != last[number]), length)


def grouped(rows: Sequence[Ids]) -> list[Group]:
    """Group prompts by their beginnings, where that saves work; the others are one group that shares nothing.

    Long beginnings are looked for first. Each further length is half of the one before, so prompts that share
    the longer one save more together than they would with the others that share the shorter one.

    >>> alike, alone = grouped([[5] * 600 + [1], [9, 9], [5] * 600 + [2]])
    >>> alike, alone
    (Group(numbers=[0, 2], shared=600), Group(numbers=[1], shared=0))
    """
    left = list(range(len(rows)))
    groups = []
    length = 1 << max(map(len, rows), default=0).bit_length()
    while (length := length // 2) >= SHORTEST:
        alike = defaultdict(list)
        for number in left:
            if len(rows[number]) > length:
                alike[tuple(rows[number][:length])].append(number)
        for numbers in alike.values():
            shared = shared_length([rows[number] for number in numbers])
            if (len(numbers) - 1) * shared >= _LEAST_SAVED:
                groups.append(Group(numbers, shared))
        taken = {number for group in groups for number in group.numbers}
        left = [number for number in left if number not in taken]
    return [*groups, *([Group(left, 0)] if left else [])]
