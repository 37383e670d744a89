"""Whether two views of one storage have an element in common."""

from __future__ import annotations

from math import gcd, prod
from typing import NamedTuple

from gptrace.model.quiet_torch import torch

_MOST_STEPS = 10_000


class Region(NamedTuple):
    """The elements of a storage that a tensor shows: its first, and the size and stride of each axis."""

    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    bytes: int

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Region:
        """Return the region of a strided tensor."""
        return cls(int(tensor.storage_offset()), tuple(tensor.shape), tensor.stride(), tensor.element_size())

    def part(self, index: object) -> Region:
        """Return the region of `tensor[index]`; all of the tensor where the index is not made of numbers.

        >>> Region(0, (4, 6), (6, 1), 4).part((slice(1, None), 2))
        Region(offset=8, shape=(3,), stride=(6,), bytes=4)
        """
        return self._part(index) or self

    def is_all(self, index: object) -> bool:
        """Tell whether `tensor[index]` is all of the tensor; False where the index is not made of numbers.

        >>> table = Region(0, (4, 6), (6, 1), 4)
        >>> table.is_all((..., slice(0, 6))), table.is_all([0, 1, 2, 3])
        (True, False)
        """
        part = self._part(index)
        return part is not None and prod(part.shape) == prod(self.shape)

    def _part(self, index: object) -> Region | None:
        entries = index if isinstance(index, tuple) else (index,)
        count = sum(type(entry) in (int, slice) for entry in entries)
        if not all(map(_is_plain, entries)) or count > len(self.shape):
            return None
        at = next((at for at, entry in enumerate(entries) if entry is ...), len(entries))
        rest = (slice(None),) * (len(self.shape) - count)
        axes = iter(zip(self.shape, self.stride, strict=True))
        offset, shape, stride = self.offset, list[int](), list[int]()
        for entry in (*entries[:at], *rest, *entries[at + 1 :]):
            if entry is None:  # a new axis of size 1
                continue
            size, step = next(axes)
            if isinstance(entry, slice):
                chosen = range(size)[entry]
                shape.append(len(chosen))
                stride.append(step * chosen.step)
                offset += step * chosen.start
            else:
                offset += step * range(size)[entry]
        return self._replace(offset=offset, shape=tuple(shape), stride=tuple(stride))


def _is_plain(entry: object) -> bool:
    if type(entry) is slice:
        return all(part is None or type(part) is int for part in (entry.start, entry.stop, entry.step))
    return entry is None or entry is ... or type(entry) is int


def overlap(a: Region, b: Region) -> bool | None:
    """Tell whether two regions of one storage have an element in common; None where that takes too long.

    >>> rows = Region(0, (2, 3), (6, 1), 4), Region(3, (2, 3), (6, 1), 4)  # left and right half of [2, 6]
    >>> overlap(*rows), overlap(rows[0], Region(2, (2, 3), (6, 1), 4))
    (False, True)
    """
    if 0 in a.shape or 0 in b.shape:
        return False
    if a == b:
        return True
    # An element of `a` is at a.offset + Σ stride·i, one of `b` at b.offset + Σ stride·j; with j counted from
    # the end, all terms of their difference have the same sign: Σ stride·(i + j') = difference.
    difference = b.offset * b.bytes - a.offset * a.bytes
    counts: dict[int, int] = {}
    for region in (a, b):
        for size, stride in zip(region.shape, region.stride, strict=True):
            step = stride * region.bytes
            if size > 1 and step:
                counts[step] = counts.get(step, 0) + size - 1
                difference += step * (size - 1) if region is b else 0
    # Two elements of different sizes overlap in part.
    widths = range(difference - a.bytes + 1, difference + b.bytes) if a.bytes != b.bytes else (difference,)
    terms, steps = sorted(counts.items(), reverse=True), [_MOST_STEPS]
    found = [_is_sum(value, terms, steps) for value in widths]
    return True if True in found else None if steps[0] < 0 else False


def _is_sum(value: int, terms: list[tuple[int, int]], steps: list[int]) -> bool:
    """Tell whether a value is a sum of at most `count` times each of the numbers in (number, count) pairs."""
    if not terms:
        return value == 0
    steps[0] -= 1
    if value < 0 or value % gcd(*(number for number, _ in terms)) or steps[0] < 0:
        return False
    (number, count), rest = terms[0], terms[1:]
    most_of_rest = sum(other * times for other, times in rest)
    first = max(0, -((most_of_rest - value) // number))
    last = min(count, value // number)
    return any(_is_sum(value - number * times, rest, steps) for times in range(first, last + 1))
