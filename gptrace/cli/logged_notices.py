"""What gptrace logs while a command runs, as notices on stderr: a program reads it from its own logging."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from gptrace.cli import streams


class _Notices(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        streams.write_notice(record.getMessage())


@contextmanager
def log_as_notices() -> Iterator[None]:
    """Write what is logged in the block to stderr, and nowhere else."""
    logger, handler = logging.getLogger("gptrace"), _Notices()
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
