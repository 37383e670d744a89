"""Tokens → text as they come: only complete characters, up to a stop text."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from itertools import takewhile

from gptrace.record import Token
from gptrace.text.tokenizer import Tokenizer, WholeDecoder, text_of_ids

_LONGEST_CHARACTER = 4  # bytes in UTF-8, and so tokens, of which each has at least one


class IncrementalText:
    """Decodes the tokens that follow a prompt, and returns each part of their text as soon as it is certain.

    The text is what the tokenizer decodes the prompt and the tokens to, less what it decodes the prompt to.
    Half a character is held back until it is complete, and text that may be the beginning of a stop text
    until more tokens decide it. `stops` are the stop texts. The attribute `text` is everything returned so
    far, and `has_stopped` tells whether a stop text came.

    >>> from gptrace.text.gpt2_tokenizer import GPT2
    >>> prompt, *tokens = [GPT2.token(token_id) for token_id in (32, 19526, 254, 36, 45, 87, 10619, 0)]
    >>> growing = IncrementalText(GPT2, [prompt], ["END"])
    >>> [growing.add(token) for token in tokens]
    ['', '你', '', '', 'ENx', '', '']
    >>> growing.has_stopped, growing.text
    (True, '你ENx')
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[Token], stops: Sequence[str] = ()) -> None:
        self._tokenizer, self._stops = tokenizer, tuple(stops)
        # The last ids, as many as it takes to decode the next one. `_known` is the text of the first
        # `_settled` of them: of the prompt, or of what was added before.
        self._ids = [token.id for token in prompt]
        self._settled = len(self._ids)
        self._known = text_of_ids(tokenizer, self._ids)
        self._characters = codecs.getincrementaldecoder("utf-8")(errors="replace")
        for token in prompt[-_LONGEST_CHARACTER:]:
            self._characters.decode(token.bytes or b"")
        self._pending = ""
        self.text = ""
        self.has_stopped = False

    def add(self, token: Token) -> str:
        """Add a token, and return the text that is now certain; a token without bytes adds none."""
        if token.bytes is None or self.has_stopped:
            return ""
        self._ids.append(token.id)
        self._characters.decode(token.bytes)
        if self._is_half_a_character():
            return ""
        whole = text_of_ids(self._tokenizer, self._ids)
        text = self._pending + self._new_part(whole)
        starts = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if starts:
            self.has_stopped, self._pending = True, text
            return self._release(min(starts))
        if isinstance(self._tokenizer, WholeDecoder) and self._tokenizer.is_open(token.id):
            return ""
        self._pending = text
        self._settle(whole)
        return self._release(len(text) - self._ambiguous_length())

    def rest(self) -> str:
        """Return the text that is still held back, after the last token; half a character is left out."""
        if self.has_stopped:
            return ""
        new = self._new_part(text_of_ids(self._tokenizer, self._ids))
        self._pending += new.rstrip("\ufffd") if self._is_half_a_character() else new
        return self._release(len(self._pending))

    def _is_half_a_character(self) -> bool:
        """Tell whether the bytes so far end in the middle of a character."""
        return bool(self._characters.getstate()[0])

    def _new_part(self, whole: str) -> str:
        """Return the part of the decoded text that is new: after half a character, the complete one is."""
        pairs = zip(self._known, whole, strict=False)
        return whole[sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs)) :]

    def _settle(self, whole: str) -> None:
        """Take the decoded text as known, and leave ids out that the next one needs no longer.

        A tokenizer may take spaces away at both ends, so the ids that are kept have to show more than those.
        """
        latest = self._ids[self._settled :]
        text = text_of_ids(self._tokenizer, latest)
        self._ids, self._known = (latest, text) if text.strip() else (self._ids, whole)
        self._settled = len(self._ids)

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
