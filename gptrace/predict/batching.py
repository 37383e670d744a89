"""Prompts of all lengths → batches of few wasted positions, and their results in the order of the prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

# Enough for matrix products to run at full speed, little enough to stay in a processor's cache.
TOKENS = {"cpu": 1024}
TOKENS_ELSEWHERE = 16384
# How many batches' worth of prompts are sorted by length together.
_BATCHES_IN_POOL = 16

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Budget:
    """How much goes into one batch: positions, padding included, and prompts."""

    tokens: int
    prompts: int | None = None

    @classmethod
    def of(cls, device: str, batch_size: int | None) -> Budget:
        """Return that of a device; `batch_size` prompts whatever their lengths, where it is given."""
        if batch_size is not None:
            return cls(tokens=1 << 62, prompts=batch_size)
        return cls(TOKENS.get(device, TOKENS_ELSEWHERE))

    @property
    def pool(self) -> int:
        """How many prompts are read ahead."""
        return _BATCHES_IN_POOL * (self.prompts or 64)


def batches(lengths: Sequence[int], budget: Budget, *, may_pad: bool) -> list[list[int]]:
    """Return the numbers of the prompts of each batch: near lengths together, the earliest prompt first.

    Without `may_pad` those of one batch have one length.

    >>> batches([3, 9, 3, 4], Budget(tokens=8), may_pad=True)
    [[0, 2], [1], [3]]
    """
    found: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lambda number: lengths[number]):
        batch = found[-1] if found else []
        size = (len(batch) + 1) * lengths[number]
        is_full = size > budget.tokens or len(batch) == budget.prompts
        if not batch or is_full or (not may_pad and lengths[batch[0]] != lengths[number]):
            found.append([number])
        else:
            batch.append(number)
    return sorted((sorted(batch) for batch in found), key=lambda batch: batch[0])


def run_in_order(
    items: Iterable[Item],
    length: Callable[[Item], int | None],
    run: Callable[[list[Item]], list[Result]],
    refuse: Callable[[Item], Result],
    budget: Budget,
    *,
    may_pad: bool,
    is_idle: Callable[[], bool] = lambda: False,
) -> Iterator[Result]:
    """Yield one result for each item, in their order, each as soon as all before it are there.

    Items are read ahead, a bounded number of them, and run in batches. One without a `length` is refused
    instead. `is_idle` tells that the next item is not there yet: then the items so far
    are run at once, so that their sender gets an answer.

    >>> list(run_in_order("ab", lambda item: 1, lambda batch: [one.upper() for one in batch], str,
    ...               Budget(tokens=8), may_pad=True))
    ['A', 'B']
    """
    pool: list[Item] = []

    def finished() -> Iterator[Result]:
        done = {number: refuse(item) for number, item in enumerate(pool) if length(item) is None}
        numbers = [number for number in range(len(pool)) if number not in done]
        lengths = [length(pool[number]) or 0 for number in numbers]
        following = 0
        for batch in [*batches(lengths, budget, may_pad=may_pad), []]:
            members = [numbers[index] for index in batch]
            results = run([pool[number] for number in members]) if members else []
            done.update(zip(members, results, strict=True))
            while following in done:
                yield done.pop(following)
                following += 1

    for item in items:
        pool.append(item)
        if len(pool) >= budget.pool or is_idle():
            yield from finished()
            pool = []
    yield from finished()
