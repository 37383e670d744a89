"""Prompts of all lengths → batches with little padding, and their results in the order of the prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gptrace.predict.shared_beginnings import grouped

# Enough for matrix products to run at full speed, little enough to stay in a processor's cache.
_TOKENS = {"cpu": 1024}
_TOKENS_ELSEWHERE = 16384
# Positions that prompts share, copied for each of them, in batches: copying takes little time, but memory.
_COPIED = 16
# The number of batches whose prompts are sorted by length together.
_BATCHES_IN_POOL = 16
# Prompts may be of any size, and so may the results that wait for those before them.
_BYTES_IN_POOL = 16 << 20

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class BatchBudget:
    """How much goes into one batch: positions, padding included, and prompts."""

    tokens: int
    prompts: int | None = None

    @classmethod
    def for_device(cls, device: str, batch_size: int | None) -> BatchBudget:
        """Return the budget of a device, or of `batch_size` prompts of any length where that is given."""
        if batch_size is not None:
            return cls(tokens=1 << 62, prompts=batch_size)
        return cls(_TOKENS.get(device, _TOKENS_ELSEWHERE))

    @property
    def pool(self) -> int:
        """How many prompts are read ahead."""
        return _BATCHES_IN_POOL * (self.prompts or 64)


def batches_of(rows: Sequence[Sequence[int]], budget: BatchBudget, *, may_pad: bool) -> list[list[int]]:
    """Batch prompts as `batches` does; with `may_pad`, those that begin alike together.

    What is shared is computed once, so it takes little of the budget.
    """
    if not may_pad:
        return batches([len(row) for row in rows], budget, may_pad=False)
    by_beginning = []
    for numbers, shared in grouped(rows):
        lengths = [len(rows[number]) - shared for number in numbers]
        by_beginning += [
            [numbers[index] for index in batch]
            for batch in batches(lengths, budget, may_pad=True, shared=shared)
        ]
    return sorted(by_beginning, key=lambda batch: batch[0])


def batches(
    lengths: Sequence[int], budget: BatchBudget, *, may_pad: bool, shared: int = 0
) -> list[list[int]]:
    """Batch prompts of similar length: return the numbers of the prompts in each batch, in ascending order.

    Without `may_pad` all prompts of a batch have the same length. Before the `lengths`, all have `shared`
    positions in common.

    >>> batches([3, 9, 3, 4], BatchBudget(tokens=8), may_pad=True)
    [[0, 2], [1], [3]]
    """
    by_length: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lambda number: lengths[number]):
        batch = by_length[-1] if by_length else []
        size = (len(batch) + 1) * lengths[number]  # padded to the longest, which is this one
        positions = (len(batch) + 1) * shared  # whose keys and values are copied for each prompt
        is_full = size > budget.tokens or positions > _COPIED * budget.tokens or len(batch) == budget.prompts
        if not batch or is_full or (not may_pad and lengths[batch[0]] != lengths[number]):
            by_length.append([number])
        else:
            batch.append(number)
    return sorted((sorted(batch) for batch in by_length), key=lambda batch: batch[0])


def run_in_order(
    items: Iterable[Item],
    ids: Callable[[Item], Sequence[int] | None],
    run: Callable[[list[Item]], list[Result]],
    refuse: Callable[[Item], Result],
    budget: BatchBudget,
    *,
    may_pad: bool,
    is_idle: Callable[[], bool] = lambda: False,
    size: Callable[[Item], int] = lambda item: 0,
) -> Iterator[Result]:
    """Yield one result for each item, in the order of the items, as soon as all results before it are ready.

    A bounded number of items, whose `size` in bytes is bounded too, is read ahead and run in batches. An
    item whose `ids` are None is passed to `refuse` instead of `run`. `is_idle` tells that no further item
    is ready to be read: then the items read so far are run, instead of waiting for more.

    >>> list(run_in_order("ab", str.encode, lambda batch: [item.upper() for item in batch], str,
    ...                   BatchBudget(tokens=8), may_pad=True))
    ['A', 'B']
    """
    pool: list[Item] = []
    held = 0  # bytes
    for item in items:
        pool.append(item)
        held += size(item)
        if len(pool) >= budget.pool or held >= _BYTES_IN_POOL or is_idle():
            yield from _run_pool(pool, ids, run, refuse, budget, may_pad=may_pad)
            pool, held = [], 0
    yield from _run_pool(pool, ids, run, refuse, budget, may_pad=may_pad)


def _run_pool(
    pool: Sequence[Item],
    ids: Callable[[Item], Sequence[int] | None],
    run: Callable[[list[Item]], list[Result]],
    refuse: Callable[[Item], Result],
    budget: BatchBudget,
    *,
    may_pad: bool,
) -> Iterator[Result]:
    """Yield the results of items that were read ahead, in their order, each as soon as it can be."""
    results = {number: refuse(item) for number, item in enumerate(pool) if ids(item) is None}
    numbers = [number for number in range(len(pool)) if number not in results]
    rows = [ids(pool[number]) or () for number in numbers]
    following = 0
    for batch in [*batches_of(rows, budget, may_pad=may_pad), []]:  # the last one: for refused items
        members = [numbers[index] for index in batch]
        if members:
            results.update(zip(members, run([pool[number] for number in members]), strict=True))
        while following in results:
            yield results.pop(following)
            following += 1
