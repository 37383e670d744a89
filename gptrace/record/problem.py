"""Why one prompt of a stream has no result."""

from __future__ import annotations

from gptrace.record.base import Record


class Problem(Record, frozen=True):
    """Why one prompt of a stream has no result, and what to do about it."""

    message: str
    hint: str
