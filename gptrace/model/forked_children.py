"""What a forked child makes anew: it has the memory of its parent, and of the threads only that which forked.

A lock that another thread held would stay locked for ever, and a block that another thread was in never ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock, RLock


def in_forked_child(function: Callable[[], None]) -> Callable[[], None]:
    """Call the function at the beginning of each forked child, in the thread that forked."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)
    return function


def can_take(lock: Lock | RLock) -> bool:
    """Tell whether a lock is free, or this thread's own."""
    if lock.acquire(blocking=False):
        lock.release()
        return True
    return False
