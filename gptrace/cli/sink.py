"""The stream that other code gets as sys.stdout and sys.stderr: stderr, with no control sequence in it."""

from __future__ import annotations

import io
import re
from typing import Any, TextIO

from gptrace.report.safe_text import visible_lines

# What a progress bar moves the cursor with: to the start of its line, and up to that of another.
_MOVES = re.compile(r"(\r|\x1b\[A)")


def safe_text(text: str, *, is_terminal: bool = False) -> str:
    """Spell out the control characters of a text, except moves of the cursor on a terminal."""
    parts = _MOVES.split(text) if is_terminal else [text]
    return "".join(part if _MOVES.fullmatch(part) else visible_lines(part) for part in parts)


class Sink(io.TextIOBase):
    """Writes safe text to a stream; code that closes it closes nothing.

    >>> shown = io.StringIO()
    >>> _ = Sink(shown).write("\\x1b[31mred\\n")
    >>> shown.getvalue()
    '\\\\x1b[31mred\\n'
    """

    def __init__(self, target: TextIO) -> None:
        self.target = target
        self._is_line_open = False

    @property
    def buffer(self) -> _Bytes:
        """The sink for bytes."""
        return _Bytes(self)

    @property
    def encoding(self) -> str:  # type: ignore[override]  # an attribute there
        """The encoding of the stream."""
        return getattr(self.target, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write a text; control characters are spelled out, except moves of the cursor on a terminal."""
        safe = safe_text(text, is_terminal=self.isatty())
        self.target.write(encodable(safe, self.target))
        self._is_line_open = not safe.endswith(("\n", "\r")) if safe else self._is_line_open
        return len(text)

    def end_line(self) -> None:
        """End a line that other code has left open, so that the next text begins one of its own."""
        if self._is_line_open:
            self.write("\n")

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def flush(self) -> None:
        """Flush the stream."""
        self.target.flush()

    def isatty(self) -> bool:
        """Tell whether the stream is a terminal."""
        return is_terminal(self.target)

    def fileno(self) -> int:
        """Return the descriptor of the stream."""
        return self.target.fileno()

    def close(self) -> None:
        """Do nothing: error lines have to be written yet."""


class _Bytes(io.RawIOBase):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raw = bytes(data)
        self._sink.write(raw.decode("utf-8", "backslashreplace"))
        return len(raw)


def is_terminal(stream: object) -> bool:
    """Tell whether a stream is a terminal; one without `isatty`, or closed, is none."""
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]  # caught below
    except (AttributeError, ValueError, OSError):
        return False


def encodable(text: str, stream: TextIO) -> str:
    """Return a text in which characters that the stream cannot encode are spelled by their numbers."""
    encoding = encoding_of(stream)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def encoding_of(stream: TextIO | None) -> str:
    """Return the encoding of a stream; one that names none takes every character."""
    return getattr(stream, "encoding", None) or "utf-8"
