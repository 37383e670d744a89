"""What every tokenizer can do here, and the one that can do nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from gptrace.errors import TextError
from gptrace.record import Token


@runtime_checkable
class Tokenizer(Protocol):
    """Text ↔ ids. `gptrace.text.encoding`, the module itself, is GPT-2's."""

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Return the ids of a text; `special`: read special tokens in it as such."""
        ...

    def encode_alone(self, text: str) -> list[int]:
        """Return the ids of a piece of text, without what belongs around a whole one."""
        ...

    def token(self, token_id: int) -> Token:
        """Return the token of an id; an unknown id has neither text nor bytes."""
        ...

    def matches_vocab_size(self, vocab_size: int) -> bool:
        """Tell whether a model with so many logits can have been made for this tokenizer."""
        ...

    def padding_rows(self, vocab_size: int) -> int:
        """Return how many of so many logits stand for no token, and only round their number up."""
        ...

    def size(self) -> int:
        """Return how many tokens it has; 0 where that is not known."""
        ...

    def described(self) -> str:
        """Return what a report calls it."""
        ...


class NoTokenizer:
    """For a model whose tokenizer is not there: ids alone."""

    def __init__(self, where: str, why: str = "") -> None:
        self._where, self._why = where, why

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Raise TextError: there is nothing to encode with."""
        why = f" ({self._why})" if self._why else ""
        raise TextError(
            f"{self._where} has no tokenizer{why}, so text cannot be read", 'give ids: --ids "1 2 3"'
        )

    def encode_alone(self, text: str) -> list[int]:
        """Raise TextError, as `encode` does."""
        return self.encode(text)

    def token(self, token_id: int) -> Token:
        """Return a token that is its id alone."""
        return Token(token_id, None, None)

    def matches_vocab_size(self, vocab_size: int) -> bool:
        """Say yes: there is nothing to disagree with."""
        return True

    def padding_rows(self, vocab_size: int) -> int:
        """Return 0: any row may stand for a token."""
        return 0

    def size(self) -> int:
        """Return 0: none that it knows."""
        return 0

    def described(self) -> str:
        """Say that there is none."""
        return f"{self._where} has no tokenizer"


def decode(tokens: Iterable[Token]) -> str | None:
    """Return the text of tokens; None for half characters, or for ids that are not in the vocabulary."""
    pieces = [token.bytes for token in tokens]
    known = [piece for piece in pieces if piece is not None]
    return utf8_or_none(b"".join(known)) if len(known) == len(pieces) else None


def utf8_or_none(raw: bytes) -> str | None:
    """Return the text that bytes are in UTF-8, or None."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def check_unicode(text: str) -> None:
    """Raise TextError for half a surrogate pair, which tokenizers turn into U+FFFD without a word."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TextError(
            f"the text holds U+{ord(text[error.start]):04X} at character {error.start + 1}, "
            "half of a character that has no meaning alone",
            "the text must be valid Unicode; from a shell, check that it is UTF-8",
        ) from None
