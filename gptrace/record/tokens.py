"""Tokens, and the prompts that are made of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from gptrace.printable import Printable


@dataclass(frozen=True, slots=True)
class Token:
    """One token. `text` is None where its bytes are only part of a UTF-8 character.

    `bytes` is None for an id that the tokenizer does not know (a model may have more rows than that).
    """

    id: int
    text: str | None
    bytes: bytes | None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as the model sees it. `text` is None where the ids are not valid UTF-8.

    `padding` counts the positions added on the right to make the batch rectangular; `truncated` the
    tokens dropped on the left to fit the context. `given_as_ids`: there was no text to begin with.
    """

    text: str | None
    tokens: tuple[Token, ...]
    padding: int = 0
    truncated: int = 0
    given_as_ids: bool = field(default=False, compare=False)

    @property
    def ids(self) -> tuple[int, ...]:
        """The token ids, without padding."""
        return tuple(token.id for token in self.tokens)


@dataclass(frozen=True, slots=True)
class Tokens(Printable):
    """The tokens of each prompt."""

    versions: dict[str, str]
    encoding: str
    vocab_size: int
    results: tuple[Prompt, ...]
