"""One thread at a time runs a module that gptrace leaves as it was: what two save and restore would mix."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gptrace.model.forked_children import can_take, in_forked_child
from gptrace.model.interrupts import interrupts_allowed
from gptrace.model.quiet_torch import torch

_SECONDS = 0.1  # between looks for an interrupt


@dataclass(slots=True)
class _Turn:
    """The lock of a module, and how many blocks hold it or wait for it."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    users: int = 0


_turns: dict[int, _Turn] = {}  # by the id of the module, which lives as long as a block uses it
_lock = threading.Lock()


@in_forked_child
def _end_turns_of_other_threads() -> None:
    global _lock
    _lock = threading.Lock()
    for module, turn in list(_turns.items()):
        if not can_take(turn.lock):
            del _turns[module]


@contextmanager
def one_at_a_time(module: torch.nn.Module) -> Iterator[None]:
    """Run the block while no other thread is in such a block for the same module; a thread may nest them.

    Ctrl-C ends the wait.
    """
    with _lock:
        turn = _turns.setdefault(id(module), _Turn())
        turn.users += 1
    try:
        while not turn.lock.acquire(timeout=_SECONDS):
            with interrupts_allowed():
                pass
        try:
            yield
        finally:
            turn.lock.release()
    finally:
        with _lock:
            turn.users -= 1
            if not turn.users:
                del _turns[id(module)]
