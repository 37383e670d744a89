"""Texts or ids → prompts that fit a model: encoded, checked, cut and padded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gptrace.errors import TextError
from gptrace.record import Token
from gptrace.text import encoding
from gptrace.text.tokenizer import Tokenizer, decode
from gptrace.wording import quoted_value


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as a model gets it. `text` is None where the ids do not decode to UTF-8.

    `padding` counts the positions added on the right to make the batch rectangular, `truncated` the tokens
    cut off on the left to fit the context. `given_as_ids`: the prompt came as ids, not as text.
    """

    text: str | None
    tokens: tuple[Token, ...]
    padding: int = 0
    truncated: int = 0
    given_as_ids: bool = False

    @property
    def ids(self) -> tuple[int, ...]:
        """The token ids, without padding."""
        return tuple(token.id for token in self.tokens)


@dataclass(frozen=True, slots=True)
class PromptSource:
    """What somebody gave to run: texts, or rows of ids. Which tokenizer reads it depends on the model."""

    texts: tuple[str, ...] = ()
    rows: tuple[tuple[int, ...], ...] = ()
    special: bool = True

    def prompts(self, tokenizer: Tokenizer = encoding) -> tuple[Prompt, ...]:
        """Return the prompts, as that tokenizer reads them.

        >>> PromptSource(texts=("Hello",)).prompts()[0].ids
        (15496,)
        """
        if self.rows:
            return from_ids(self.rows, tokenizer)
        return from_texts(self.texts, tokenizer, special=self.special)


def from_texts(
    texts: Iterable[str], tokenizer: Tokenizer = encoding, *, special: bool = True
) -> tuple[Prompt, ...]:
    """Encode each text.

    >>> from_texts(["Hello, I am"])[0].ids
    (15496, 11, 314, 716)
    """
    prompts = []
    for text in texts:
        if not text:
            raise TextError("the text is empty", "a prompt needs at least one character")
        ids = tokenizer.encode(text, special=special)
        if not ids:
            raise TextError(f"the text {quoted_value(text)} gives no tokens", "give more text, or --ids")
        prompts.append(Prompt(text, tuple(map(tokenizer.token, ids))))
    return tuple(prompts)


def from_ids(rows: Iterable[Sequence[int]], tokenizer: Tokenizer = encoding) -> tuple[Prompt, ...]:
    """Make prompts of token ids; text is what they decode to, where they do.

    >>> from_ids([[15496, 11]])[0].text
    'Hello,'
    """
    prompts = []
    for row in rows:
        if not row:
            raise TextError("the list of ids is empty", "a prompt needs at least one id")
        for token_id in row:
            if token_id < 0:
                raise TextError(f"id {token_id} is negative", "token ids start at 0")
        tokens = tuple(map(tokenizer.token, row))
        prompts.append(Prompt(decode(tokens), tokens, given_as_ids=True))
    return tuple(prompts)


def parse_ids(text: str) -> list[int]:
    """Read ids written with spaces or commas between them.

    >>> parse_ids("15496, 11 314")
    [15496, 11, 314]
    """
    ids = []
    for word in re.split(r"[\s,]+", text.strip(" \t\r\n,[]")):
        # int() also takes 1_000 and digits of other scripts; an id is plain.
        if not re.fullmatch(r"-?[0-9]{1,18}", word):
            if not word:
                continue
            raise TextError(f"{word!r} is not a token id", 'write ids as whole numbers: --ids "15496 11 314"')
        ids.append(int(word))
    return ids


def fit(
    prompts: Sequence[Prompt], *, vocab_size: int | None, context_length: int | None, truncate: bool = False
) -> tuple[Prompt, ...]:
    """Check ids and lengths against a model, where it tells its sizes, and pad to the longest prompt.

    With `truncate` a prompt that is too long keeps its last `context_length` tokens.
    """
    many = len(prompts) > 1
    return padded(
        [
            fit_one(
                prompt, vocab_size=vocab_size, context_length=context_length, truncate=truncate,
                where=f" of prompt {number}" if many else "",
            )
            for number, prompt in enumerate(prompts)
        ]
    )  # fmt: skip


def fit_one(
    prompt: Prompt, *, vocab_size: int | None, context_length: int | None, truncate: bool, where: str = ""
) -> Prompt:
    """Check one prompt against a model, and cut it to its context where that is wished."""
    for position, token_id in enumerate(prompt.ids):
        if vocab_size is not None and token_id >= vocab_size:
            larger = "; the text was read with a larger vocabulary: give --ids"
            raise TextError(
                f"id {token_id} at position {position}{where} is not in the vocabulary of {vocab_size}",
                f"ids go from 0 to {vocab_size - 1}{'' if prompt.given_as_ids else larger}",
            )
    excess = 0 if context_length is None else len(prompt.tokens) - context_length
    if excess <= 0:
        return prompt
    if not truncate:
        raise TextError(
            f"the text{where} has {len(prompt.tokens)} tokens, the model's context holds {context_length}",
            f"shorten it, or keep the last {context_length} tokens with --truncate",
        )
    kept = prompt.tokens[excess:]
    return replace(prompt, text=decode(kept), tokens=kept, truncated=excess)


def padded(prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """Return the prompts of a batch, each with the padding that makes it as long as the longest."""
    longest = max((len(prompt.tokens) for prompt in prompts), default=0)
    return tuple(replace(prompt, padding=longest - len(prompt.tokens)) for prompt in prompts)


def padded_ids(prompts: Sequence[Prompt]) -> list[list[int]]:
    """Return the batch (B, T). What fills the right is never read, since attention looks to the left.

    The filler is the prompt's own last id, since that is in every vocabulary that the prompt is in.
    """
    return [[*prompt.ids, *[prompt.ids[-1]] * prompt.padding] for prompt in prompts]


def without_text(prompt: Prompt) -> Prompt:
    """Return a prompt that was given as ids as ids alone, for a model that another tokenizer was made for."""
    if not prompt.given_as_ids:
        return prompt
    return replace(prompt, text=None, tokens=tuple(Token(token.id, None, None) for token in prompt.tokens))
