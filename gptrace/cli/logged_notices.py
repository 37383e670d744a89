"""What gptrace logs and torch warns of while a command runs, as notices on stderr."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from gptrace.cli import streams

_NO_DIM = re.compile(r"Implicit dimension choice for (\w+)")


class _Notices(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        streams.write_notice(record.getMessage())


@contextmanager
def log_as_notices() -> Iterator[None]:
    """Write what is logged in the block to stderr, and nowhere else: a program reads it from its logging.

    Torch's warning that a softmax names no axis becomes a notice, too, with the line of that softmax. Other
    warnings are left as they are.
    """
    logger, handler = logging.getLogger("gptrace"), _Notices()
    before = logger.level, logger.propagate, warnings.showwarning
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    warnings.showwarning = _with_notice_on_axes(before[2])
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
        warnings.showwarning = before[2]


def _with_notice_on_axes(show: Callable[..., None]) -> Callable[..., None]:
    """Return a function that shows a warning, and says what torch does without `dim`."""
    told: set[str] = set()

    def show_or_tell(message: Any, *arguments: Any, **named: Any) -> None:
        function = _NO_DIM.match(str(message))
        if function is None:
            show(message, *arguments, **named)
            return
        notice = (
            f"{function[1]} without dim, at {_place(sys._getframe(1))}, runs over axis 0 of one or three "
            "axes, and over axis 1 of others; for attention weights write dim=-1, the keys"
        )
        if notice not in told:
            told.add(notice)
            streams.write_notice(notice)

    return show_or_tell


def _place(frame: FrameType | None) -> str:
    """Return the line of user code that is running, as in "model.py:21"."""
    from gptrace.model.user_code_errors import LIBRARIES, NEVER_USER_CODE, short_place  # it imports torch

    while frame is not None:
        if not frame.f_code.co_filename.startswith((*NEVER_USER_CODE, *LIBRARIES)):
            return short_place(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return "a line of torch"
