"""A catalog holds the sentences of one language; here a claim is put into its words.

A sentence is two templates of `str.format`: the text, and the figures below it. Beside the format
specifications of Python, such as `{rows:,}`, a template may use these:

    {ids:shape}            [1, 4], of a shape or of a tensor
    {best:token}           the text of a token in quotes; its bytes or its id where it has no text
    {prompt:tokens}        tokens with their ids
    {difference:small}     a difference that should be next to nothing
    {smallest:percent}     a probability
    {size:memory}          a number of bytes, with a unit
    {rows:row|rows}        a count with its noun: 1 row, 4 rows
    {by_hand:each}         a list, each item written with the template `each` of the sentence

Beside the figures of its claim, a template may use those of `MeasuredModel.claim`.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gptrace.predict.explain.claims import MeasuredClaim
from gptrace.record import Claim, Token
from gptrace.wording import bracketed, readable_bytes

_MOST_TOKENS = 12


@dataclass(frozen=True, slots=True)
class Sentence:
    """The templates of a claim. `each` is that of an item in a list, `separator` stands between two items."""

    text: str
    measured: str
    each: str = ""
    separator: str = ""


@dataclass(frozen=True, slots=True)
class Catalog:
    """The titles of the topics and the sentences of the claims, by key.

    `failures` has the text that takes the place of a sentence's own where the claim does not hold: a ✗ stands
    beside a sentence that says what is; "KEY because REASON" is for a claim whose figure `because` says why.
    `denial` comes before the text of a claim without a failure.
    """

    titles: Mapping[str, str]
    sentences: Mapping[str, Sentence]
    failures: Mapping[str, str] = field(default_factory=dict)
    denial: str = ""

    def claim(self, measured: MeasuredClaim) -> Claim:
        """Return a claim in words. The catalog chooses the words alone.

        >>> catalog = Catalog({}, {"softmax": Sentence("They sum to 1.", "{rows:row|rows}")})
        >>> catalog.claim(MeasuredClaim("softmax", True, {"rows": 4})).measured
        '4 rows'
        """
        sentence = self.sentences[measured.key]
        formatter = _FigureFormatter(sentence)
        text = sentence.text
        if measured.holds is False:
            because = self.failures.get(f"{measured.key} because {measured.figures.get('because')}")
            text = because or self.failures.get(measured.key, self.denial + text)
        return Claim(
            key=measured.key,
            text=formatter.vformat(text, (), measured.figures),
            measured=formatter.vformat(sentence.measured, (), measured.figures),
            holds=measured.holds,
        )


def shape(value: Any) -> str:
    """Write the sizes of a shape, or of a tensor; a dash where there is none.

    >>> shape((1, 4, 768))
    '[1, 4, 768]'
    """
    return "–" if value is None else bracketed(getattr(value, "shape", value))


def token(value: Token) -> str:
    """Write a token: its text, or its bytes, or its id.

    >>> token(Token(19526, None, b"\\xe4\\xbd"))
    '<e4 bd>'
    """
    if value.text is not None:
        return f'"{value.text}"'
    return f"<{value.bytes.hex(' ')}>" if value.bytes is not None else f"id {value.id}"


def tokens(values: Sequence[Token]) -> str:
    """Write tokens with their ids; the middle of a long text is left out."""
    words = [f"{token(value)} {value.id}" if value.bytes is not None else token(value) for value in values]
    if len(words) > _MOST_TOKENS:
        half = _MOST_TOKENS // 2
        words = [*words[:half], "…", *words[-half:]]
    return " · ".join(words)


def small(difference: float) -> str:
    """Write a difference that should be next to nothing.

    >>> small(0.0), small(1.2e-6), small(0.85)
    ('0', '1.2e-06', '0.85')
    """
    return f"{difference:.2g}"


def percent(probability: float) -> str:
    """Write a probability.

    >>> percent(0.0001819)
    '0.01819 %'
    """
    return f"{100 * probability:.4g} %"


_FORMATS: dict[str, Callable[[Any], str]] = {
    **{function.__name__: function for function in (shape, token, tokens, small, percent)},
    "memory": readable_bytes,
}


class _FigureFormatter(string.Formatter):
    def __init__(self, sentence: Sentence) -> None:
        self._sentence = sentence

    def format_field(self, value: Any, format_spec: str) -> str:
        """Write one figure; see the docstring of this module."""
        if format_spec in _FORMATS:
            return _FORMATS[format_spec](value)
        if format_spec == "each":
            items = [self.vformat(self._sentence.each, (), item) for item in value]
            return self._sentence.separator.join(items)
        if "|" in format_spec:
            singular, plural = format_spec.split("|")
            return f"{value:,} {singular if value == 1 else plural}"
        return format(value, format_spec)
