"""The random number generators of the process, which all threads share: borrowed, and put back.

Two threads that each save and restore a generator leave it changed if they overlap: the second saves what the
first has drawn so far. So one lock guards them here.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from gptrace.model.devices import random_states
from gptrace.model.interrupts import interrupts_held
from gptrace.model.quiet_torch import torch

_lock = threading.RLock()
# How many blocks of `kept_random_state` run now, and what restores the state before the first of them.
_kept_blocks = 0
_restore_kept: dict[str, Callable[[], object]] = {}


@contextmanager
def exclusive_random_state(devices: Iterable[torch.device] = ()) -> Iterator[None]:
    """Run a block that seeds the generators or draws from them, and put them back afterwards.

    The generators are Python's, NumPy's, torch's on the CPU, and those of other `devices`. One such block
    runs at a time, so a seed gives the same numbers whatever other threads do with gptrace meanwhile.
    """
    with _lock:
        restore = _current(devices)
        try:
            yield
        finally:
            with interrupts_held():
                for put_back in restore.values():
                    put_back()


@contextmanager
def kept_random_state(devices: Iterable[torch.device] = ()) -> Iterator[None]:
    """Run a block beside others of its kind; after the last of them, put back what was before the first."""
    global _kept_blocks
    with _lock:
        _restore_kept.update(_current(devices) | _restore_kept)  # what is there already was before the first
        _kept_blocks += 1
    try:
        yield
    finally:
        with interrupts_held(), _lock:
            _kept_blocks -= 1
            while not _kept_blocks and _restore_kept:
                _restore_kept.popitem()[1]()


def seed_generators(seed: int) -> None:
    """Seed the generators of the CPU, inside a block that puts them back."""
    random.seed(seed)
    torch.default_generator.manual_seed(seed)
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)  # it takes no other


def _current(devices: Iterable[torch.device]) -> dict[str, Callable[[], object]]:
    """Return, by generator, a function that puts back its present state."""
    restore: dict[str, Callable[[], object]] = {
        "python": partial(random.setstate, random.getstate()),
        "cpu": partial(torch.default_generator.set_state, torch.default_generator.get_state()),
    }
    numpy: Any = sys.modules.get("numpy")  # a model may draw its weights from it, where somebody imported it
    if numpy is not None:
        restore["numpy"] = partial(numpy.random.set_state, numpy.random.get_state())
    return restore | random_states(devices)
