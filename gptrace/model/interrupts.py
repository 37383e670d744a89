"""Ctrl-C acts while a model runs, and waits while gptrace changes or puts back the state of others.

Code that changes state enters `interrupts_held` first, and `interrupts_allowed` last, around the model alone:

    with interrupts_held(), evaluation_mode(model), interrupts_allowed():
        model(ids)

So no interrupt comes between a change and the code that is going to undo it, however short that moment is.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

# The blocks that are open now in the main thread, innermost last. They need not end in order: a generator
# that was left unfinished ends some time later.
_open: list[interrupts_held] = []
_before: Callable[[int, FrameType | None], Any] = signal.default_int_handler
_waiting: list[tuple[int, FrameType | None]] = []
# Whoever presses Ctrl-C so often does not want to wait for state that is put back.
_PATIENCE = 4


class interrupts_held:  # noqa: N801 - used like a function
    """Keep an interrupt waiting in the block, and let it act at its end, or in an `interrupts_allowed`.

    These are classes, since an interrupt may come between the functions of contextlib and a generator. Python
    runs the handlers of signals in the main thread alone, so in others there is nothing to hold.
    """

    _holds = True
    _needs_holding = False  # and so ends with the block around it

    def __init__(self, *, is_firm: bool = False) -> None:
        """Make a block; a firm one holds every interrupt, since where one would be raised it is lost."""
        self._is_firm = is_firm

    def __enter__(self) -> None:
        global _before
        if not _in_main_thread():
            return
        if _open:
            _open.append(self)
            return
        current = signal.getsignal(signal.SIGINT)
        if not callable(current):  # ignored, or handled outside of Python
            return
        if current is not _handle:
            _before = current
        try:
            _open.append(self)
            signal.signal(signal.SIGINT, _handle)
        except BaseException:  # an interrupt came before its new handler
            _open.clear()
            raise

    def __exit__(self, *exception: object) -> None:
        if self not in _open:
            return
        start = _open.index(self)
        end = start + 1
        # An interrupt may come at the very end of an `interrupts_allowed`, which then does not end itself.
        while end < len(_open) and _open[end]._needs_holding and not self._needs_holding:
            end += 1
        if end - start < len(_open):
            del _open[start:end]
            _act_if_allowed()
            return
        try:
            # Else the block has set another, or another thread closes a generator and cannot do this.
            if signal.getsignal(signal.SIGINT) is _handle and _in_main_thread():
                signal.signal(signal.SIGINT, _before)
        finally:
            interrupts = list(_waiting)
            _waiting.clear()
            _open.clear()
        if interrupts:
            _before(*interrupts[0])


class interrupts_allowed(interrupts_held):  # noqa: N801 - used like a function
    """Let interrupts act in the block, inside an `interrupts_held`; one that has waited acts at once.

    When one acts, further ones wait until the block has ended: what it interrupted is put back first.
    """

    _holds = False
    _needs_holding = True

    def __enter__(self) -> None:
        if _open and _in_main_thread():
            self._holds = False
            _open.append(self)
            try:
                _act_if_allowed()
            except BaseException:
                _open.remove(self)
                raise

    def __exit__(self, *exception: object) -> None:
        self._holds = True
        super().__exit__(*exception)


def forget_lost_interrupt() -> None:
    """Let the next interrupt act: the last one was raised where no exception gets out, as in a destructor."""
    for block in _open:
        if block._needs_holding:
            block._holds = False


def _handle(number: int, frame: FrameType | None) -> None:
    _waiting.append((number, frame))
    if len(_waiting) >= _PATIENCE and not any(block._is_firm for block in _open):
        _open.clear()
    if not _open:  # this handler has outlived the blocks: code in them has kept it, and set it again
        _waiting.clear()
        _before(number, frame)
    _act_if_allowed()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _act_if_allowed() -> None:
    """Pass a waiting interrupt to the former handler, unless the innermost block holds it."""
    if not _waiting or not _open or _open[-1]._holds:
        return
    innermost = _open[-1]
    innermost._holds = True
    interrupt = _waiting[0]
    _waiting.clear()
    _before(*interrupt)
    innermost._holds = False  # a handler that returns has interrupted nothing
