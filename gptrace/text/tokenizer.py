"""The interface of tokenizers, and the one for models without a tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from gptrace.errors import TextError
from gptrace.record import Token


@runtime_checkable
class Tokenizer(Protocol):
    """Text ↔ ids.

    It may also have an attribute `end_ids`, the ids that end a text.
    """

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Return the ids of a text; with `special`, the names of special tokens in it become these tokens.

        Raises TextError for a text that is not valid Unicode.
        """

    def encode_alone(self, text: str) -> list[int]:
        """Return the ids of a text, without the tokens that `encode` adds at its ends."""

    def token(self, token_id: int) -> Token:
        """Return the token of an id; an unknown one has neither text nor bytes."""

    def matches_vocab_size(self, vocab_size: int) -> bool:
        """Tell whether a model with `vocab_size` logits may use this tokenizer."""

    def padding_rows(self, vocab_size: int) -> int:
        """Return how many of `vocab_size` logits only round up the number of tokens; 0 if unknown."""
        return 0

    def size(self) -> int:
        """Return the number of tokens; 0 where it is unknown."""
        return 0

    def description(self) -> str:
        """Return what reports call this tokenizer."""


@runtime_checkable
class WholeDecoder(Protocol):
    """A tokenizer that decodes ids as a whole, because the text of a token may depend on its neighbours.

    For any other one, the bytes of its tokens in a row are the text.
    """

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; unknown ids add nothing."""

    def is_open(self, token_id: int) -> bool:
        """Tell whether the tokens that come next may change the text up to this token."""


class NoTokenizer(Tokenizer):
    """The tokenizer of a model that comes without one: it refuses text, and ids have no text.

    `owner` is what has no tokenizer, in words; `reason` says why in brackets, where there is more to say.
    """

    def __init__(self, owner: str, reason: str = "") -> None:
        self._owner, self._reason = owner, reason

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """Raise TextError."""
        hint = 'give ids: --ids "1 2 3"'
        raise TextError(f"{self._owner} has no tokenizer{self._reason}, so text cannot be read", hint)

    encode_alone = encode

    def token(self, token_id: int) -> Token:
        """Return a token without text and bytes."""
        return Token(token_id, None, None)

    def matches_vocab_size(self, vocab_size: int) -> bool:
        """Return True: nothing is known that could disagree."""
        return True

    def description(self) -> str:
        """Return that there is no tokenizer."""
        return f"{self._owner} has no tokenizer"


def decode(tokens: Iterable[Token]) -> str | None:
    """Return the joined text of tokens; None if their bytes are not UTF-8, or one has no bytes."""
    parts = [token.bytes for token in tokens]
    return None if None in parts else utf8_or_none(b"".join(part or b"" for part in parts))


def text_of_ids(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """Return what a tokenizer decodes ids to; unknown ids add nothing, and half a character is U+FFFD."""
    if isinstance(tokenizer, WholeDecoder):
        return tokenizer.decode(ids)
    return b"".join(tokenizer.token(token_id).bytes or b"" for token_id in ids).decode(errors="replace")


def text_of_tokens(tokenizer: Tokenizer, tokens: Sequence[Token]) -> str | None:
    """Return what a tokenizer decodes tokens to; None if one is unknown, or their bytes are not UTF-8."""
    return None if decode(tokens) is None else text_of_ids(tokenizer, [token.id for token in tokens])


def end_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """Return the ids that end a text, as far as the tokenizer knows."""
    return frozenset(getattr(tokenizer, "end_ids", ()))


def utf8_or_none(raw: bytes) -> str | None:
    """Decode bytes as UTF-8; return None if they are not valid."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def check_unicode(text: str) -> None:
    """Raise TextError for half a surrogate pair; tokenizers would silently turn it into U+FFFD."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TextError(
            f"the text holds U+{ord(text[error.start]):04X} at character {error.start + 1}, "
            "which is half of a surrogate pair and no character",
            "the text must be valid Unicode; check that the shell uses UTF-8",
        ) from None
