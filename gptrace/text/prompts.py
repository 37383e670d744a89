"""Texts or ids → prompts that fit a model: encoded, checked, cut and padded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from gptrace.errors import TextError
from gptrace.record import Prompt
from gptrace.text import encoding


def from_texts(texts: Iterable[str], *, special: bool = True) -> tuple[Prompt, ...]:
    """Encode each text.

    >>> from_texts(["Hello, I am"])[0].ids
    (15496, 11, 314, 716)
    """
    prompts = []
    for text in texts:
        if not text:
            raise TextError("the text is empty", "a prompt needs at least one character")
        ids = encoding.encode(text, special=special)
        prompts.append(Prompt(text, tuple(map(encoding.token, ids))))
    return tuple(prompts)


def from_ids(rows: Iterable[Sequence[int]]) -> tuple[Prompt, ...]:
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
        prompts.append(Prompt(encoding.decode(row), tuple(map(encoding.token, row))))
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
    prompts: Sequence[Prompt], *, vocab_size: int, context_length: int, truncate: bool = False
) -> tuple[Prompt, ...]:
    """Check ids and lengths against a model, and pad to the longest prompt.

    With `truncate` a prompt that is too long keeps its last `context_length` tokens.
    """
    fitted = []
    for number, prompt in enumerate(prompts):
        where = f" of prompt {number}" if len(prompts) > 1 else ""
        for position, token_id in enumerate(prompt.ids):
            if token_id >= vocab_size:
                raise TextError(
                    f"id {token_id} at position {position}{where} is not in the vocabulary of {vocab_size}",
                    f"ids go from 0 to {vocab_size - 1}",
                )
        excess = len(prompt.tokens) - context_length
        if excess > 0:
            if not truncate:
                raise TextError(
                    f"the text{where} has {len(prompt.tokens)} tokens, "
                    f"the model's context holds {context_length}",
                    f"shorten it, or keep the last {context_length} tokens with --truncate",
                )
            kept = prompt.tokens[excess:]
            text = encoding.decode(token.id for token in kept)
            prompt = Prompt(text, kept, truncated=excess)
        fitted.append(prompt)
    longest = max(len(prompt.tokens) for prompt in fitted)
    return tuple(replace(prompt, padding=longest - len(prompt.tokens)) for prompt in fitted)


def padded_ids(prompts: Sequence[Prompt], *, vocab_size: int) -> list[list[int]]:
    """Return the batch (B, T). What fills the right is never read, since attention looks to the left."""
    filler = min(encoding.END_OF_TEXT_ID, vocab_size - 1)
    return [[*prompt.ids, *[filler] * prompt.padding] for prompt in prompts]
