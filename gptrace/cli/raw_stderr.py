"""Descriptor 2, where C code and child processes write: it leads to a process that makes the bytes safe text.

It is a process of its own, so that the last words of one that crashes are shown too. It sits between
descriptor 2 and stderr, while sys.stderr, which the command line itself writes to, still leads to stderr.
"""

from __future__ import annotations

import codecs
import os
import secrets
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from gptrace.cli.sink import safe_text

_READ_AT_ONCE = 1 << 16  # bytes
_MOST_DESCRIPTORS = 1 << 16


@dataclass(frozen=True, slots=True)
class _Filter:
    """The ends of the pipes to and from the process; `marker` asks it to answer when it has come so far."""

    writer: int
    answers: int
    marker: bytes

    def wait(self) -> None:
        """Wait until all is shown that was written before."""
        with suppress(OSError):  # it is gone
            os.write(self.writer, self.marker)
            os.read(self.answers, 1)


_filter: _Filter | None = None


def start() -> None:
    """Let descriptor 2 lead through the filter, unless stderr is closed, or the system allows no process.

    For a process of our own, at its start, while it has one thread.
    """
    if sys.stderr is None or not hasattr(os, "fork"):
        return
    opened: list[int] = []
    # Ctrl-C waits: neither process here could say a word about it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        _start(opened)
    except OSError:  # no descriptor or process is left
        for descriptor in opened:
            os.close(descriptor)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(opened: list[int]) -> None:
    """Start the filter; `opened` gets each descriptor as soon as it is there, until it has started."""
    global _filter
    assert sys.stderr is not None
    stderr = high_copy(2)
    opened.append(stderr)
    for _ in range(2):
        opened += _pipe()
    _, reader, writer, answers, answering = opened
    marker = f"\0{secrets.token_hex(16)}\0".encode()
    encoding, errors = sys.stderr.encoding, sys.stderr.errors
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        try:
            if os.fork() == 0:  # a grandchild: user code that waits for its children does not meet it
                _run(reader, stderr, answering, marker, encoding)
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(child, 0)[1]:
        raise OSError  # the system allows no further process
    opened.clear()
    os.close(reader)
    os.close(answering)
    os.dup2(writer, 2)
    sys.stderr = open(stderr, "w", encoding=encoding, errors=errors, buffering=1)  # noqa: SIM115 - as long as the process
    _filter = _Filter(writer, answers, marker)


def has_started() -> bool:
    """Tell whether descriptor 2 leads through the filter, and so is another than that of sys.stderr."""
    return _filter is not None


def wait() -> None:
    """Wait until all is shown that was written to descriptor 2 before."""
    if _filter is not None:
        _filter.wait()


def _pipe() -> tuple[int, int]:
    """Return the ends of a pipe, on descriptors other than those of standard streams that are closed."""
    low = os.pipe()
    high: list[int] = []
    try:
        high += [high_copy(low[0])]
        high += [high_copy(low[1])]
    except OSError:
        for end in high:
            os.close(end)
        raise
    finally:
        for end in low:
            os.close(end)
    return high[0], high[1]


def high_copy(descriptor: int) -> int:
    """Return a copy of a descriptor, whose number is no standard stream's, should one of these be closed."""
    try:
        import fcntl
    except ImportError:  # systems without fork lack it
        return os.dup(descriptor)
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


def _run(reader: int, stderr: int, answering: int, marker: bytes, encoding: str) -> NoReturn:
    """Copy from `reader` to `stderr` until all writers are gone, which ends this process."""
    try:
        for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # it outlives what it listens to
            signal.signal(ending, signal.SIG_IGN)
        kept = sorted((reader, stderr, answering))
        for low, high in zip([0, *(end + 1 for end in kept)], [*kept, _MOST_DESCRIPTORS], strict=True):
            os.closerange(low, high)
        decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        encoder = codecs.getincrementalencoder(encoding)("backslashreplace")
        encoder.encode("")  # the mark that some encodings begin a text with: sys.stderr writes it
        is_terminal = os.isatty(stderr)
        is_line_open = False
        held = b""
        while data := os.read(reader, _READ_AT_ONCE):
            *parts, last = (held + data).split(marker)
            last, held = _split_marker(last, marker)
            for number, part in enumerate([*parts, last]):
                text = safe_text(decoder.decode(part), is_terminal=is_terminal)
                is_line_open = not text.endswith(("\n", "\r")) if text else is_line_open
                is_asked = number < len(parts)
                end = "\n" if is_asked and is_line_open else ""  # what comes next has a line of its own
                _write(stderr, encoder.encode(text + end))
                if is_asked:
                    is_line_open = False
                    os.write(answering, b"\n")
    finally:
        os._exit(0)


def _split_marker(data: bytes, marker: bytes) -> tuple[bytes, bytes]:
    """Return the bytes before what may be the beginning of a marker, and that beginning."""
    for length in range(min(len(marker) - 1, len(data)), 0, -1):
        if data.endswith(marker[:length]):
            return data[:-length], data[-length:]
    return data, b""


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
