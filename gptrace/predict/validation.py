"""What can be asked of a model: values of options, prompts that it can take. No torch: mistakes are cheap."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from gptrace.errors import OptionError
from gptrace.model.selection import Limits
from gptrace.record import GenerationSettings
from gptrace.text import prompts as text_prompts
from gptrace.text.prompts import Prompt
from gptrace.wording import suggestion

DEFAULT_K = 5
DEFAULT_NEW_TOKENS = 20
POSITIONS = ("last", "all")
TOPICS = ("flow", "last-dim", "projection", "probabilities", "training", "inference", "tying")
LANGUAGES = ("en", "zh")


def resolve_k(k: int | None, vocab_size: int) -> int:
    """Return k, or where none is given 5, if there are that many tokens; raise OptionError for a wrong one.

    >>> resolve_k(None, 50257), resolve_k(None, 3)
    (5, 3)
    """
    wanted = min(DEFAULT_K, vocab_size) if k is None else k
    check_k(wanted, vocab_size)
    return wanted


def check_k(k: int, vocab_size: int) -> None:
    """Raise OptionError unless 1 ≤ k ≤ vocab_size."""
    if isinstance(k, bool) or not isinstance(k, int):
        raise OptionError(f"k is {k!r}", "k must be a whole number")
    if not 1 <= k <= vocab_size:
        raise OptionError(f"k is {k}", f"k must be from 1 to {vocab_size}, the size of the vocabulary")


def check_temperature(temperature: float) -> None:
    """Raise OptionError unless the temperature is a positive, finite number."""
    if isinstance(temperature, bool) or not isinstance(temperature, int | float):
        raise OptionError(f"temperature is {temperature!r}", "it must be a number above 0")
    # Compared, not converted: an int may be too large for a float.
    if not 0 < temperature <= sys.float_info.max:
        raise OptionError(
            f"temperature is {temperature}",
            "it must be a number above 0; 1 leaves the probabilities as the model has them",
        )


def fit_prompts(
    limits: Limits, prompts: Sequence[Prompt], *, truncate: bool = False, slides: bool = False
) -> tuple[Prompt, ...]:
    """Check prompts against what a model takes, and cut or pad them.

    `slides`: one longer than the context is welcome, since it goes through in windows.
    """
    is_bounded = (limits.is_certain or truncate) and not slides
    return text_prompts.fit(
        prompts,
        vocab_size=limits.vocab_size,
        context_length=limits.context_length if is_bounded else None,
        truncate=truncate,
    )


def generation_settings(
    *,
    max_new_tokens: int = DEFAULT_NEW_TOKENS,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    stop: Sequence[str] = (),
    cache: bool = True,
) -> GenerationSettings:
    """Check how tokens are to be picked: greedily, unless a temperature, top_k or top_p says otherwise.

    >>> generation_settings().temperature, generation_settings(top_k=5).temperature
    (0.0, 1.0)
    """
    sampled = 0.0 if top_k is None and top_p is None else 1.0
    heat = sampled if temperature is None else temperature
    if heat != 0:
        check_temperature(heat)
    _check_count("max_new_tokens", max_new_tokens)
    if top_k is not None:
        _check_count("top_k", top_k)
    is_share = isinstance(top_p, int | float) and not isinstance(top_p, bool) and 0 < top_p <= 1
    if top_p is not None and not is_share:
        raise OptionError(f"top_p is {top_p!r}", "it must be above 0, and 1 at most")
    stops = (stop,) if not isinstance(stop, Iterable) or isinstance(stop, str | bytes) else tuple(stop)
    for one in stops:
        if not isinstance(one, str) or not one:
            raise OptionError(f"a stop is {one!r}", "give the text to stop at")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise OptionError(f"seed is {seed!r}", "pick a whole number")
    return GenerationSettings(max_new_tokens, float(heat), top_k, top_p, seed, stops, cache)


def resolve_topics(topics: Sequence[str]) -> tuple[str, ...]:
    """Return the topics of an explanation in their order, all where none is named.

    >>> resolve_topics(["tying", "flow"])
    ('flow', 'tying')
    """
    named = (topics,) if isinstance(topics, str) else tuple(topics)
    for one in named:
        if one not in TOPICS:
            raise OptionError(f"{one!r} is no topic", suggestion(one, TOPICS))
    return tuple(one for one in TOPICS if one in named) or TOPICS


def check_language(language: str) -> None:
    """Raise OptionError for a language that explanations are not written in."""
    if language not in LANGUAGES:
        raise OptionError(f"the language is {language!r}", f"pick one of {', '.join(LANGUAGES)}")


def check_batch_size(batch_size: int | None) -> None:
    """Raise OptionError unless the size of a batch is a whole number from 1 up, or left open."""
    if batch_size is not None:
        _check_count("batch_size", batch_size)


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionError(f"{name} is {value!r}", "it must be a whole number from 1 up")
