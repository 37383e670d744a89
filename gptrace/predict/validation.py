"""Checks of options, and of prompts against a model's limits. No torch here, so mistakes are found early."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TypeGuard

from gptrace.errors import OptionError
from gptrace.model.selection import Limits
from gptrace.record import GenerationSettings
from gptrace.text import prompts as text_prompts
from gptrace.text.gpt2_tokenizer import GPT2
from gptrace.text.prompts import Prompt
from gptrace.text.tokenizer import Tokenizer
from gptrace.wording import quoted_value, suggestion

DEFAULT_K = 5
DEFAULT_NEW_TOKENS = 20
POSITIONS = ("last", "all")
TOPICS = (
    "flow", "attention", "last-dim", "projection", "probabilities", "training", "inference", "tying",
)  # fmt: skip


def check_k(k: int | None) -> None:
    """Raise OptionError for a k that is wrong for every vocabulary."""
    if k is not None:
        _check_count("k", k)


def resolve_k(k: int | None, vocab_size: int) -> int:
    """Return k, or its default of 5 where the vocabulary is that large; raise OptionError for a wrong k.

    >>> resolve_k(None, 50257), resolve_k(None, 3)
    (5, 3)
    """
    if k is None:
        return min(DEFAULT_K, vocab_size)
    if not _is_whole(k):
        raise OptionError(f"k is {quoted_value(k)}", "it must be a whole number", option="k")
    if not 1 <= k <= vocab_size:
        hint = f"it must be from 1 to {vocab_size}, the size of the vocabulary"
        raise OptionError(f"k is {quoted_value(k)}", hint, option="k")
    return k


def check_temperature(temperature: float) -> None:
    """Raise OptionError unless the temperature is a positive, finite number."""
    is_number = isinstance(temperature, int | float) and not isinstance(temperature, bool)
    # Compared, not converted: an int may be too large for a float.
    if not is_number or not 0 < temperature <= sys.float_info.max:
        hint = "it must be a number above 0; 1 leaves the probabilities as the model gives them"
        raise OptionError(f"temperature is {quoted_value(temperature)}", hint, option="temperature")


def fit_prompts(
    limits: Limits, prompts: Sequence[Prompt], tokenizer: Tokenizer = GPT2, *, truncate: bool = False,
    allow_windows: bool = False,
) -> tuple[Prompt, ...]:  # fmt: skip
    """Check prompts against a model's limits, and cut or pad them.

    `allow_windows`: a prompt may be longer than the context, because it goes through in windows.
    """
    is_bounded = (limits.is_certain or truncate) and not allow_windows
    longest = limits.context_length if is_bounded else None
    return text_prompts.fit(
        prompts, tokenizer, vocab_size=limits.vocab_size, context_length=longest, truncate=truncate
    )


def token_ids(texts: Sequence[str], tokenizer: Tokenizer = GPT2) -> tuple[int, ...]:
    """Return the id of each text; raise an OptionError for a text that is not exactly one token.

    >>> token_ids([" Paris"])
    (6342,)
    """
    ids = []
    for text in texts:
        encoded = tokenizer.encode_alone(text) if text else []
        if len(encoded) != 1:
            tokens = [tokenizer.token(token_id) for token_id in encoded]
            listed = " ".join(repr(token.text or token.bytes) for token in tokens)
            raise OptionError(
                f"--token {text!r} is {len(tokens)} tokens{': ' * bool(tokens)}{listed}",
                "name exactly one; a word within a text begins with its space, as in --token ' Paris'",
            )
        ids.append(encoded[0])
    return tuple(ids)


def check_stride(stride: int | None) -> None:
    """Raise OptionError for a stride that is wrong for every context."""
    if stride is not None:
        _check_count("stride", stride)


def resolve_stride(stride: int | None, context_length: int) -> int:
    """Return how many tokens a window moves on, half a context by default; raise OptionError for a wrong one.

    Each window but the first scores its last `stride` tokens, so at least one token of context must be left.
    """
    if context_length < 2:
        raise OptionError(
            f"the context length is {context_length}, but the loss needs at least 2 tokens",
            "use a larger model",
        )
    step = max(1, context_length // 2) if stride is None else stride
    if not _is_whole(step) or not 1 <= step < context_length:
        hint = f"it must be from 1 to {context_length - 1}, less than the context"
        raise OptionError(f"stride is {quoted_value(step)}", hint)
    return step


def generation_settings(
    *, max_new_tokens: int = DEFAULT_NEW_TOKENS, temperature: float | None = None, top_k: int | None = None,
    top_p: float | None = None, seed: int = 0, stop: Sequence[str] = (), cache: bool = True,
) -> GenerationSettings:  # fmt: skip
    """Check how tokens are picked: greedily, unless a temperature, top_k or top_p is given.

    >>> generation_settings().temperature, generation_settings(top_k=5).temperature
    (0.0, 1.0)
    """
    if temperature is None:
        temperature = 0.0 if top_k is None and top_p is None else 1.0
    if temperature != 0:
        check_temperature(temperature)
    _check_count("max_new_tokens", max_new_tokens)
    if top_k is not None:
        _check_count("top_k", top_k)
    is_share = isinstance(top_p, int | float) and not isinstance(top_p, bool) and 0 < top_p <= 1
    if top_p is not None and not is_share:
        hint = "it must be above 0, and 1 at most"
        raise OptionError(f"top_p is {quoted_value(top_p)}", hint, option="top_p")
    stops = (stop,) if not isinstance(stop, Iterable) or isinstance(stop, str | bytes) else tuple(stop)
    for text in stops:
        if not isinstance(text, str) or not text:
            raise OptionError(f"a stop is {text!r}", "give the text to stop at")
        try:
            text.encode()
        except UnicodeEncodeError:  # a lone surrogate, as bytes of an argument become that are no UTF-8
            problem = f"a stop is {quoted_value(text)}, which is not Unicode text"
            hint = "no model writes that: give the text to stop at, in UTF-8"
            raise OptionError(problem, hint) from None
    if not _is_whole(seed):
        raise OptionError(f"seed is {quoted_value(seed)}", "pick a whole number", option="seed")
    return GenerationSettings(max_new_tokens, float(temperature), top_k, top_p, seed, stops, cache)


def resolve_topics(topics: Sequence[str]) -> tuple[str, ...]:
    """Return the named topics of an explanation in their order, or all of them where none is named.

    >>> resolve_topics(["tying,flow"])
    ('flow', 'tying')
    """
    chosen, unknown = in_known_order(topics, TOPICS)
    if unknown is not None:
        raise OptionError(f"{unknown!r} is not a topic", suggestion(unknown, TOPICS))
    return chosen


def in_known_order(names: str | Sequence[str], known: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    """Return the named ones of `known` in its order, all without a name; and a name that is not among them.

    One text may hold several names with commas between them.

    >>> in_known_order(["c,a"], ("a", "b", "c")), in_known_order([], ("a", "b"))
    ((('a', 'c'), None), (('a', 'b'), None))
    """
    texts = (names,) if isinstance(names, str) else names
    given = [name.strip() for text in texts for name in text.split(",")]
    unknown = next((name for name in given if name not in known), None)
    return tuple(name for name in known if name in given) or known, unknown


def check_positions(positions: str) -> None:
    """Raise OptionError unless the positions to predict at are "last" or "all"."""
    if positions not in POSITIONS:
        hint = f"pick one of {', '.join(POSITIONS)}"
        raise OptionError(f"positions is {positions!r}", hint, option="positions")


def check_batch_size(batch_size: int | None) -> None:
    """Raise OptionError unless the size of a batch is None or a whole number of at least 1."""
    if batch_size is not None:
        _check_count("batch_size", batch_size)


def _check_count(name: str, value: object) -> None:
    if not _is_whole(value) or value < 1:
        raise OptionError(
            f"{name} is {quoted_value(value)}", "it must be a whole number of at least 1", option=name
        )


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
