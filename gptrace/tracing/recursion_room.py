"""Room on Python's stack for the frames that recorders and hooks add to those of the model."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import AbstractContextManager, suppress
from threading import Lock, get_ident
from typing import ClassVar

from gptrace.model.forked_children import in_forked_child

_GREATEST = 2**31 - 1  # that Python takes, an int of C


class recursion_room(AbstractContextManager[None]):  # noqa: N801 - used like a function
    """Double the recursion limit in the block, for all threads; what the model sets meanwhile stays.

    Each open call of a module has a frame or two of recorders or hooks beside three of its own, so a chain of
    modules that just fits would not fit while it is watched.
    """

    _lock: ClassVar[Lock] = Lock()
    _blocks: ClassVar[Counter[int]] = Counter()  # that each thread is in
    _before: ClassVar[int] = 0
    _during: ClassVar[int] = 0

    def __enter__(self) -> None:
        """Double the limit, unless another block has done so."""
        kind = type(self)
        with self._lock:
            kind._blocks[get_ident()] += 1
            if kind._blocks.total() == 1:
                kind._before = sys.getrecursionlimit()
                kind._during = min(2 * kind._before, _GREATEST)
                sys.setrecursionlimit(kind._during)

    def __exit__(self, *exception: object) -> None:
        """Restore the limit at the end of the last block."""
        kind = type(self)
        with self._lock:
            kind._blocks[get_ident()] -= 1
            kind._leave()

    @classmethod
    def _leave(cls) -> None:
        if cls._blocks.total():
            return
        cls._blocks.clear()
        if sys.getrecursionlimit() == cls._during:
            with suppress(RecursionError):  # the block began deeper than the limit
                sys.setrecursionlimit(cls._before)

    @classmethod
    def end_blocks_of_other_threads(cls) -> None:
        """Restore the limit in a forked child, unless the thread that forked is in a block."""
        cls._lock = Lock()
        others = cls._blocks.keys() - {get_ident()}
        for thread in others:
            del cls._blocks[thread]
        if others:
            cls._leave()


in_forked_child(recursion_room.end_blocks_of_other_threads)
