"""English sentences → Chinese ones: the template of a sentence is found by the words between its values.

A sentence may end in a clause that other code adds, such as "; the value comes from the variable X". A
template that begins with a space or with punctuation is such a clause. Of all readings of a sentence, the one
counts that finds most of its characters in templates. Values stay as they are; a hole that is written `{!t}`
in the Chinese template holds words, which are translated in their turn. Where these have to be known, it is
written `{!s}`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from gptrace.translation import chinese
from gptrace.translation.words import Given, spaced

# A text as Python's repr writes it; the apostrophe of a word begins none.
# One that was cut short has no end.
_QUOTATION = re.compile(
    r"""(?<!\w)((?:'[^']*…|"[^"]*…)(?= \(\d+ characters\))|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL
)
_LENGTH = re.compile(r" \((\d+) characters\)")
# The message of an exception, of which anybody is the author: up to where gptrace goes on, or to the end.
_EXCEPTION = re.compile(
    r"(?<![\w.])(\w*(?:Error|Exception): )(.+?)"
    r"(?=, at (?:[^,]+, )?[^,]+, line \d+(?:,|:)| \((?:while|in) [^()]*\)$|\), so text cannot be read$|$)",
    re.DOTALL,
)
_IN_BRACKETS = re.compile(r"\[[^][]*\]|\([^()]*\)|\{[^{}]*\}")
# A template of fewer letters, such as "{} is {}", is found only between values of one word.
_FEW_LETTERS = 5
# Characters for private use, which no safe text holds.
_FIRST_SIGN, _SIGNS = 0xE000, 0x1900
# Words within words, and places where a clause may begin, are looked for so far: messages hold any text.
_DEPTH, _PLACES = 6, 4


@dataclass(frozen=True, slots=True)
class _Template:
    """`fragments` are the texts before, between and after the holes."""

    fragments: tuple[str, ...]
    longest_fragment: str
    # Text, the hole after it, and how that was written: "t" for words, "s" for words that have to be known.
    chinese: tuple[tuple[str, int | None, str | None], ...]

    @classmethod
    def of(cls, english: str, translation: str) -> _Template:
        fragments, text = [], ""
        for literal, field, _, _ in string.Formatter().parse(english):
            text += literal
            if field is not None:
                fragments.append(text)
                text = ""
        parts, number = [], 0
        for literal, field, _, conversion in string.Formatter().parse(translation):
            hole = None if field is None else int(field) if field else number
            number += field == ""
            parts.append((literal, hole, conversion))
        fragments.append(text)
        return cls(tuple(fragments), max(fragments, key=len), tuple(parts))

    @property
    def is_clause(self) -> bool:
        return self.fragments[0][:1] in (" ", ",", ";", ":")

    @property
    def size(self) -> int:
        return sum(map(len, self.fragments))

    @property
    def has_few_letters(self) -> bool:
        return len("".join(self.fragments).replace(" ", "")) < _FEW_LETTERS

    def values(self, text: str) -> list[list[str]]:
        """Return what may stand in the holes: the first holes, or the last ones, as short as possible.

        The list is empty where the text is another one.
        """
        first, *others = self.fragments
        if not others:
            return [[]] if text == first else []
        start, end = len(first), len(text) - len(others[-1])
        if end < start or not text.startswith(first) or not text.endswith(others[-1]):
            return []
        readings = [_values_between(others[:-1], text[start:end])]
        # Backwards, the first place of a text is its last one.
        backwards = _values_between(
            [fragment[::-1] for fragment in reversed(others[:-1])], text[start:end][::-1]
        )
        readings.append(backwards and [value[::-1] for value in reversed(backwards)])
        return [values for values in readings if values is not None]

    def translated(self, values: list[str], depth: int) -> tuple[int, str] | None:
        """Return how many characters are known, and the Chinese text; None where words are not known."""
        size, parts = self.size, [""]
        for literal, hole, conversion in self.chinese:
            parts.append(literal)
            if hole is None:
                continue
            known, value = 0, values[hole]
            if conversion:
                known, value = _best_reading(value, depth - 1, with_clauses=conversion == "t")
            if not known and (conversion == "s" or (self.has_few_letters and _has_several_words(value))):
                return None
            size += known
            parts.append(value if known else Given(value))
        return size, spaced(parts)


def report_template(english: str) -> str:
    """Return the Chinese template of a text of a report; the English one where there is none."""
    return chinese.REPORTS.get(english, english)


def translated(text: str) -> str:
    """Return a sentence in Chinese; one that no template makes, such as a message of Python, stays as it is.

    >>> translated("it must be a whole number"), translated("list index out of range")
    ('必须是整数', 'list index out of range')
    """
    hidden, quotations = _without_quotations(text)
    reading = _LENGTH.sub(r"（共 \1 个字符）", _best_reading(hidden)[1])
    for sign, quotation in reversed(quotations.items()):  # the message of an exception may hold others
        reading = reading.replace(sign, quotation)
    return reading


def _without_quotations(text: str) -> tuple[str, dict[str, str]]:
    """Put a sign in the place of what is quoted and of messages of exceptions, where no template is found.

    Quotations that are part of templates stay.
    """
    quotations: dict[str, str] = {}

    def hidden(words: str) -> str:
        if words in _quotations_of_templates() or len(quotations) == _SIGNS:
            return words
        sign = chr(_FIRST_SIGN + len(quotations))
        quotations[sign] = words
        return sign

    text = _QUOTATION.sub(lambda match: hidden(match[0]), text)
    return _EXCEPTION.sub(lambda match: match[1] + hidden(match[2]), text), quotations


def _values_between(fragments: list[str], text: str) -> list[str] | None:
    """Return the texts before, between and after fragments, all but the last as short as possible."""
    values = []
    for fragment in fragments:
        value, separator, rest = text.partition(fragment) if fragment else ("", "", text)
        if fragment and not separator:
            return None
        values.append(value)
        text = rest
    return [*values, text]


def _has_several_words(value: str) -> bool:
    """Tell whether a value is more than one word, or a list of single words."""
    return " " in _IN_BRACKETS.sub("", value).replace(", ", ",").strip()


@cache
def _quotations_of_templates() -> frozenset[str]:
    return frozenset(
        match[0] for english in chinese.MESSAGES for match in _QUOTATION.finditer(english.format(*[""] * 9))
    )


@cache
def _templates() -> list[_Template]:
    messages: Mapping[str, str] = chinese.MESSAGES
    return [_Template.of(english, translation) for english, translation in messages.items()]


@lru_cache(maxsize=1000)
def _best_reading(text: str, depth: int = _DEPTH, *, with_clauses: bool = True) -> tuple[int, str]:
    best = (0, text)
    for template in _templates():
        if depth == 0 or template.longest_fragment not in text:
            continue
        readings = [template.translated(values, depth) for values in template.values(text)]
        if with_clauses and template.is_clause:
            readings += _readings_with_clause(template, text, depth)
        best = max([best, *filter(None, readings)], key=lambda reading: reading[0])
    return best


def _readings_with_clause(template: _Template, text: str, depth: int) -> Iterator[tuple[int, str]]:
    """Yield the readings of a text that ends in a clause, the shortest clause first."""
    first = template.fragments[0]
    start = text.rfind(first)
    for _ in range(_PLACES):
        if start <= 0:
            return
        for values in template.values(text[start:]):
            clause = template.translated(values, depth)
            if clause is not None:
                size, sentence = _best_reading(text[:start], depth - 1)
                yield size + clause[0], sentence + clause[1]
        start = text.rfind(first, 0, start)
