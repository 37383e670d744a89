"""Tokens → text as it grows: whole characters only, up to a stop."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from gptrace.record import Token


class IncrementalText:
    """Puts tokens together, and gives out each piece of text as soon as it can be read.

    Bytes wait until they are a whole character; text that may turn out to be the start of a stop waits until
    that is clear. `text` is all that was given out.

    >>> pieces = IncrementalText(["END"])
    >>> [pieces.add(Token(0, None, raw)) for raw in (b"a\\xe4\\xbd", b"\\xa0E", b"Nx", b"END!")]
    ['a', '你', 'ENx', '']
    >>> pieces.has_stopped, pieces.text
    (True, 'a你ENx')
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._stops = tuple(stops)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._waiting = ""
        self.text = ""
        self.has_stopped = False

    def add(self, token: Token) -> str:
        """Add a token, and return what can be read now; an id without text gives nothing."""
        self._waiting += self._decoder.decode(token.bytes or b"")
        found = [at for stop in self._stops if (at := self._waiting.find(stop)) >= 0]
        if found:
            self.has_stopped = True
            return self._give(min(found))
        return self._give(len(self._waiting) - self._held())

    def rest(self) -> str:
        """Return what still waited to be clear; half a character is left out."""
        return "" if self.has_stopped else self._give(len(self._waiting))

    def _held(self) -> int:
        """Return the length of the longest end of what waits that a stop begins with."""
        ends = (
            length
            for stop in self._stops
            for length in range(min(len(stop) - 1, len(self._waiting)), 0, -1)
            if self._waiting.endswith(stop[:length])
        )
        return max(ends, default=0)

    def _give(self, length: int) -> str:
        piece, self._waiting = self._waiting[:length], self._waiting[length:]
        self.text += piece
        return piece
