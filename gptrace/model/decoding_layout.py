"""Weights in the memory layout in which this machine multiplies a single row fastest.

A step of one token multiplies one row by each weight, so it takes as long as reading the weights does. Some
kernels read a weight that is stored by columns almost twice as fast as one that is stored by rows, which is
how PyTorch stores it; others are equally fast, or slower. That depends on the processor and on the shape, so
it is measured. The copies take as much memory as the weights. Weights that multiply the same row share one
copy, which makes one product of several.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from gptrace.model.free_memory import available_bytes
from gptrace.model.quiet_torch import torch
from gptrace.model.tensor_versions import has_own_memory, memory_state
from gptrace.wording import readable_bytes

Tensor = torch.Tensor
_Group = Sequence[Tensor]  # weights (out, in) that multiply the same row
_State = tuple[tuple[int, int | None], ...]
_Kind = tuple[tuple[torch.Size, torch.dtype], ...]
linear = torch.nn.functional.linear
# Weights that stay in the processor's cache are read as fast in either layout.
_LEAST_BYTES = 64 << 20
# What is timed of each shape. The two layouts take turns, so that each drives the other out of the cache.
_SAMPLE_BYTES = 32 << 20
_ROUNDS = 2
# Rounding of the clock and other work on the machine must not decide.
_WORTHWHILE = 1.15
_SHARE_OF_FREE_MEMORY = 4
_COLUMNS_AT_ONCE = 256  # a copy of so many rows stays in the fastest cache
_log = logging.getLogger("gptrace")


class _Sample(NamedTuple):
    """Seconds of one row by some weights, as they are and in their copies, and seconds of copying."""

    by_rows: float
    by_columns: float
    copying: float

    def pays_off(self, steps: int) -> bool:
        """Tell whether the copies save more time in so many steps than they take."""
        is_faster = self.by_rows >= _WORTHWHILE * self.by_columns
        return is_faster and steps * (self.by_rows - self.by_columns) >= _WORTHWHILE * self.copying


class DecodingLayout:
    """Chooses the layout of weights for steps of one token. One is kept for all texts of a model.

    >>> layout, weight = DecodingLayout(), torch.ones(2, 3)
    >>> layout.chosen([[weight]], steps=100)[0][0] is weight  # far too small to gain anything
    True
    """

    def __init__(self) -> None:
        self._samples: dict[_Kind, _Sample] = {}
        self._copied: set[_Kind] = set()
        self._copies: dict[
            _State, tuple[_Group, Tensor]
        ] = {}  # the weights are held, so they keep their memory

    def chosen(self, groups: Sequence[_Group], steps: int) -> list[_Group]:
        """Return each group of weights (out, in) itself, or in its place one copy of all, stored by columns.

        A copy is made where it saves more time in `steps` steps than it takes. Its values are equal, but a
        product with it may differ in the last bits, since another kernel computes it.
        """
        if self._may_gain([weight for group in groups for weight in group], steps):
            self._copy(groups, steps)
        copies = (self._copies.get(_state(group)) for group in groups)
        return [group if copy is None else copy[1:] for group, copy in zip(groups, copies, strict=True)]

    def _may_gain(self, weights: Sequence[Tensor], steps: int) -> bool:
        is_plain = all(
            has_own_memory(weight)
            and weight.device.type == "cpu"
            and weight.is_contiguous()
            and not weight.is_inference()
            for weight in weights
        )
        size, free = _bytes(weights), available_bytes()
        has_room = free is None or _SHARE_OF_FREE_MEMORY * size <= free
        return is_plain and has_room and steps > 1 and size >= _LEAST_BYTES

    def _copy(self, groups: Sequence[_Group], steps: int) -> None:
        """Copy the groups of each shape that was not copied yet, where that pays off."""
        kinds: dict[_Kind, list[_Group]] = defaultdict(list)
        for group in groups:
            kinds[tuple((weight.shape, weight.dtype) for weight in group)].append(group)
        copies: dict[_State, tuple[_Group, Tensor]] = {}
        # The shape that takes most memory comes first: if that gains nothing, the others are not tried.
        for kind, alike in sorted(kinds.items(), key=lambda item: sum(map(_bytes, item[1])), reverse=True):
            if kind in self._copied:
                continue
            made: list[Tensor] = []
            if kind not in self._samples:
                self._samples[kind], made = _timed(alike)
            if self._samples[kind].pays_off(steps):
                made += map(_by_columns, alike[len(made) :])
                copies |= {_state(group): (group, copy) for group, copy in zip(alike, made, strict=True)}
                self._copied.add(kind)
            elif not self._copied:
                return
        if copies:
            self._copies |= copies
            size = _bytes([copy for _, copy in copies.values()])
            _log.info(
                f"each step reads a copy of {readable_bytes(size)} of weights, stored by columns, which this "
                "machine multiplies faster"
            )


def _timed(alike: Sequence[_Group]) -> tuple[_Sample, list[Tensor]]:
    """Time the first of some groups of one shape, or a part of the first; return their copies if whole."""
    count = max(1, _SAMPLE_BYTES // _bytes(alike[0]))
    rows = max(1, _SAMPLE_BYTES // sum(weight.shape[1] * weight.itemsize for weight in alike[0]))
    sample = [[weight[:rows] for weight in group] for group in alike[:count]]
    start = time.perf_counter()
    copies = [_by_columns(group) for group in sample]
    copying = time.perf_counter() - start
    row = torch.ones(1, copies[0].shape[1], dtype=copies[0].dtype)
    weights = [weight for group in sample for weight in group]
    turns = [(_seconds(row, weights), _seconds(row, copies)) for _ in range(_ROUNDS)]
    by_rows, by_columns = map(min, zip(*turns, strict=True))
    return _Sample(by_rows, by_columns, copying), copies if rows >= max(map(len, alike[0])) else []


def _seconds(row: Tensor, weights: Sequence[Tensor]) -> float:
    start = time.perf_counter()
    for weight in weights:
        linear(row, weight)
    return time.perf_counter() - start


def _bytes(weights: Sequence[Tensor]) -> int:
    return sum(weight.nbytes for weight in weights)


def _state(group: _Group) -> _State:
    return tuple(map(memory_state, group))


def _by_columns(group: _Group) -> Tensor:
    """Return the rows of all weights (out, in) as one tensor whose columns are contiguous in memory."""
    columns = group[0].new_empty(group[0].shape[1], sum(map(len, group)))  # (in, out)
    first = 0
    for weight in group:
        for start in range(0, len(weight), _COLUMNS_AT_ONCE):
            part = weight[start : start + _COLUMNS_AT_ONCE]
            columns[:, first : first + len(part)] = part.T
            first += len(part)
    return columns.T
