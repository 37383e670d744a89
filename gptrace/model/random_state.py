"""The random number generators of the process, which all threads share: borrowed, and put back.

Two threads that each save and restore a generator leave it changed if they overlap: the second saves what the
first has drawn so far. So one lock guards them here.
"""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from gptrace.model.devices import random_states
from gptrace.model.forked_children import can_take, in_forked_child
from gptrace.model.interrupts import interrupts_held
from gptrace.model.quiet_torch import torch

Restore = dict[str, Callable[[], object]]  # by generator
_lock = threading.RLock()
# What restores the states before the blocks of `exclusive_random_state` that run now, innermost last.
_restore_exclusive: list[Restore] = []
# How many blocks of `kept_random_state` each thread is in, and what restores the state before the first.
_kept_blocks: Counter[int] = Counter()
_restore_kept: Restore = {}


@contextmanager
def exclusive_random_state(devices: Iterable[torch.device] = ()) -> Iterator[None]:
    """Run a block that seeds the generators or draws from them, and put them back afterwards.

    The generators are Python's, NumPy's, torch's on the CPU, and those of other `devices`. One such block
    runs at a time, so a seed gives the same numbers whatever other threads do with gptrace meanwhile.
    """
    with _lock:
        _restore_exclusive.append(_current(devices))
        try:
            yield
        finally:
            with interrupts_held():
                _put_back(_restore_exclusive.pop())


@contextmanager
def kept_random_state(devices: Iterable[torch.device] = ()) -> Iterator[None]:
    """Run a block beside others of its kind; after the last of them, put back what was before the first."""
    thread = threading.get_ident()
    with _lock:
        _restore_kept.update(_current(devices) | _restore_kept)  # what is there already was before the first
        _kept_blocks[thread] += 1
    try:
        yield
    finally:
        with interrupts_held(), _lock:
            _kept_blocks[thread] -= 1
            if not _kept_blocks.total():
                _kept_blocks.clear()
                _put_back(_restore_kept)


def _put_back(restore: Restore) -> None:
    while restore:
        restore.popitem()[1]()


@in_forked_child
def _end_blocks_of_other_threads() -> None:
    """Put back what other threads would have; but Python has seeded its own generator anew in the child."""
    global _lock
    if not can_take(_lock):
        _lock = threading.RLock()
        while _restore_exclusive:
            _put_back(_without_python(_restore_exclusive.pop()))
    thread = threading.get_ident()
    if _kept_blocks and not _kept_blocks[thread]:
        _put_back(_without_python(_restore_kept))
    for other in _kept_blocks.keys() - {thread}:
        del _kept_blocks[other]


def _without_python(restore: Restore) -> Restore:
    restore.pop("python", None)
    return restore


def seed_generators(seed: int) -> None:
    """Seed the generators of the CPU, inside a block that puts them back."""
    random.seed(seed)
    torch.default_generator.manual_seed(seed)
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)  # it takes no other


def _current(devices: Iterable[torch.device]) -> Restore:
    """Return, by generator, a function that puts back its present state."""
    restore: Restore = {
        "python": partial(random.setstate, random.getstate()),
        "cpu": partial(torch.default_generator.set_state, torch.default_generator.get_state()),
    }
    numpy: Any = sys.modules.get("numpy")  # a model may draw its weights from it, where somebody imported it
    if numpy is not None:
        restore["numpy"] = partial(numpy.random.set_state, numpy.random.get_state())
    return restore | random_states(devices)
