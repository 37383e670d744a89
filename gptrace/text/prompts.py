"""Texts or ids → prompts for a model: encoded, checked, cut and padded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from gptrace.errors import GptraceError, TextError
from gptrace.record import Token
from gptrace.text.gpt2_tokenizer import GPT2
from gptrace.text.tokenizer import Tokenizer, text_of_tokens
from gptrace.wording import one_line, quoted_value


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


def from_texts(
    texts: Iterable[str], tokenizer: Tokenizer = GPT2, *, special: bool = True
) -> tuple[Prompt, ...]:
    """Encode each text; raise TextError for one without tokens, or that the tokenizer fails at.

    >>> from_texts(["Hello, I am"])[0].ids
    (15496, 11, 314, 716)
    """
    prompts = []
    for text in texts:
        if not text:
            raise TextError("the text is empty", "a prompt needs at least one character")
        with _tokenizer_errors(f"the text {quoted_value(text)}"):
            tokens = tuple(map(tokenizer.token, tokenizer.encode(text, special=special)))
        if not tokens:
            raise TextError(f"the text {quoted_value(text)} gives no tokens", "give more text, or --ids")
        prompts.append(Prompt(text, tokens))
    return tuple(prompts)


def from_ids(rows: Iterable[Sequence[int]], tokenizer: Tokenizer = GPT2) -> tuple[Prompt, ...]:
    """Return a prompt for each row of ids; its text is None where the ids cannot be decoded.

    Raises TextError for an empty row or a negative id.

    >>> from_ids([[15496, 11]])[0].text
    'Hello,'
    """
    prompts = []
    for row in rows:
        if not row:
            raise TextError("the list of ids is empty", "a prompt needs at least one id")
        if min(row) < 0:
            raise TextError(f"id {min(row)} is negative", "token ids start at 0")
        with _tokenizer_errors(f"the ids {quoted_value(list(row[:20]))}"):
            tokens = tuple(map(tokenizer.token, row))
            text = text_of_tokens(tokenizer, tokens)
        prompts.append(Prompt(text, tokens, given_as_ids=True))
    return tuple(prompts)


@contextmanager
def _tokenizer_errors(what: str) -> Iterator[None]:
    """Turn whatever a tokenizer raises into a TextError: its patterns give up on some long texts."""
    try:
        yield
    except (GptraceError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as error:  # a panic in Rust is no Exception
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise TextError(
            f"the tokenizer fails at {what}: {reason}", "shorten long runs of one character, or give --ids"
        ) from error


def parse_ids(text: str) -> list[int]:
    """Read token ids separated by white space or commas; raise TextError for anything else.

    >>> parse_ids("15496, 11 314")
    [15496, 11, 314]
    """
    ids = []
    for word in re.findall(r"[^\s,]+", text.strip(" \t\r\n,[]")):
        # int() would also accept 1_000 and the digits of other scripts.
        if not re.fullmatch(r"-?[0-9]{1,18}", word):
            raise TextError(f"{word!r} is not a token id", 'write ids as whole numbers: --ids "15496 11 314"')
        ids.append(int(word))
    return ids


def fit(
    prompts: Sequence[Prompt], tokenizer: Tokenizer = GPT2, *, vocab_size: int | None,
    context_length: int | None, truncate: bool = False,
) -> tuple[Prompt, ...]:  # fmt: skip
    """Check prompts against the limits of a model, and pad them to the longest; None is no limit.

    With `truncate`, a prompt that is too long keeps its last `context_length` tokens, whose text `tokenizer`
    tells. Raises TextError for an id or a length beyond the limits.
    """
    fitted = []
    for number, prompt in enumerate(prompts):
        where = f" of prompt {number}" if len(prompts) > 1 else ""
        kept = _fit_one(prompt, where, vocab_size, context_length, truncate)
        if kept is not prompt:
            kept = replace(kept, text=text_of_tokens(tokenizer, kept.tokens))
        fitted.append(kept)
    return padded(fitted)


def _fit_one(
    prompt: Prompt, where: str, vocab_size: int | None, context_length: int | None, truncate: bool
) -> Prompt:
    for position, token_id in enumerate(prompt.ids):
        if vocab_size is not None and token_id >= vocab_size:
            larger = "; the tokenizer has a larger vocabulary than the model: give --ids"
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
    return replace(prompt, tokens=kept, truncated=excess)


def padded(prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """Return the prompts of a batch with their padding set, so that all are as long as the longest."""
    longest = max((len(prompt.tokens) for prompt in prompts), default=0)
    return tuple(replace(prompt, padding=longest - len(prompt.tokens)) for prompt in prompts)


def padded_ids(prompts: Sequence[Prompt]) -> list[list[int]]:
    """Return the ids (B, T) of a batch (B batch, T tokens), each prompt padded with its last id on the right.

    That id is in the vocabulary of any model, and under causal attention no token sees the padding.
    """
    return [[*prompt.ids, *[prompt.ids[-1]] * prompt.padding] for prompt in prompts]


def without_text(prompt: Prompt) -> Prompt:
    """Return a prompt that was given as ids without text: the model does not use this tokenizer."""
    if not prompt.given_as_ids:
        return prompt
    return replace(prompt, text=None, tokens=tuple(Token(token.id, None, None) for token in prompt.tokens))
