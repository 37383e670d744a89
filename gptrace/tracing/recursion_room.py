"""Room on Python's stack for the frames that recorders and hooks add to those of the model."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, suppress
from threading import Lock
from typing import ClassVar

_GREATEST = 2**31 - 1  # that Python takes, an int of C


class recursion_room(AbstractContextManager[None]):  # noqa: N801 - used like a function
    """Double the recursion limit in the block, for all threads; what the model sets meanwhile stays.

    Each open call of a module has a frame or two of recorders or hooks beside three of its own, so a chain of
    modules that just fits would not fit while it is watched.
    """

    _lock: ClassVar[Lock] = Lock()
    _blocks: ClassVar[int] = 0
    _before: ClassVar[int] = 0
    _during: ClassVar[int] = 0

    def __enter__(self) -> None:
        """Double the limit, unless another block has done so."""
        kind = type(self)
        with self._lock:
            kind._blocks += 1
            if kind._blocks == 1:
                kind._before = sys.getrecursionlimit()
                kind._during = min(2 * kind._before, _GREATEST)
                sys.setrecursionlimit(kind._during)

    def __exit__(self, *exception: object) -> None:
        """Restore the limit at the end of the last block."""
        kind = type(self)
        with self._lock:
            kind._blocks -= 1
            is_last = kind._blocks == 0
            if is_last and sys.getrecursionlimit() == kind._during:
                with suppress(RecursionError):  # the block began deeper than the limit
                    sys.setrecursionlimit(kind._before)
