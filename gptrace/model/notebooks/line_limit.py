"""A limit of the lines that one statement of a notebook may run while the notebook is loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class TooManyLinesError(BaseException):
    """A statement ran more lines than the limit. No Exception, so that `except Exception` does not go on."""


@contextmanager
def line_limit(file: str, limit: int) -> Iterator[None]:
    """Raise TooManyLinesError in the block at more than `limit` lines and calls of code in a file.

    Lines are counted and time is not, so that the outcome is the same on a busy machine. `file` begins the
    names of the files that are counted.
    """
    left, before = limit, sys.gettrace()

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.startswith(file):
            return None
        left -= 1
        if left < 0:
            raise TooManyLinesError
        return count

    try:
        sys.settrace(count)
        yield
    finally:
        sys.settrace(before)
