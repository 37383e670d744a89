"""Tokens → text as they come: only complete characters, up to a stop text."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from gptrace.record import Token


class IncrementalText:
    """Joins the text of tokens, and returns each part of it as soon as it is certain.

    Bytes are held back until they form a complete character, and text that may be the beginning of a stop
    text until more tokens decide it. `stops` are the stop texts. The attribute `text` is everything returned
    so far, and `has_stopped` tells whether a stop text came.

    >>> growing = IncrementalText(["END"])
    >>> [growing.add(Token(0, None, raw)) for raw in (b"a\\xe4\\xbd", b"\\xa0E", b"Nx", b"END!")]
    ['a', '你', 'ENx', '']
    >>> growing.has_stopped, growing.text
    (True, 'a你ENx')
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._stops = tuple(stops)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._pending = ""
        self.text = ""
        self.has_stopped = False

    def add(self, token: Token) -> str:
        """Add a token, and return the text that is now certain; a token without bytes adds none."""
        self._pending += self._decoder.decode(token.bytes or b"")
        starts = [at for stop in self._stops if (at := self._pending.find(stop)) >= 0]
        if starts:
            self.has_stopped = True
            return self._release(min(starts))
        return self._release(len(self._pending) - self._ambiguous_length())

    def rest(self) -> str:
        """Return the text that is still held back, after the last token; half a character is left out."""
        return "" if self.has_stopped else self._release(len(self._pending))

    def _ambiguous_length(self) -> int:
        """Return the length of the longest end of the pending text with which a stop text begins."""
        lengths = (
            length
            for stop in self._stops
            for length in range(min(len(stop) - 1, len(self._pending)), 0, -1)
            if self._pending.endswith(stop[:length])
        )
        return max(lengths, default=0)

    def _release(self, length: int) -> str:
        part, self._pending = self._pending[:length], self._pending[length:]
        self.text += part
        return part
