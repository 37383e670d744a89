"""English sentences → Chinese ones: the template of a sentence is found by the words between its values.

A sentence may end in a clause that other code adds, such as "; the value comes from the variable X". A
template that begins with a space or with punctuation is such a clause. Of all readings of a sentence, the one
counts that finds most of its characters in templates. Values stay as they are; a hole that is written `{!t}`
in the Chinese template holds words, which are translated in their turn.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from gptrace.translation import chinese


@dataclass(frozen=True, slots=True)
class _Template:
    """`fragments` are the texts before, between and after the holes."""

    fragments: tuple[str, ...]
    chinese: tuple[tuple[str, int | None, bool], ...]  # text, hole after it, whether that holds words

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
            parts.append((literal, hole, conversion == "t"))
        return cls((*fragments, text), tuple(parts))

    @property
    def is_clause(self) -> bool:
        return self.fragments[0][:1] in (" ", ",", ";", ":")

    @property
    def size(self) -> int:
        return sum(map(len, self.fragments))

    def values(self, text: str) -> list[str] | None:
        """Return what stands in the holes, each as short as possible; None where the text is another one."""
        first, *others = self.fragments
        if not text.startswith(first):
            return None
        if not others:
            return [] if text == first else None
        start, values = len(first), []
        for fragment in others[:-1]:
            end = text.find(fragment, start) if fragment else start
            if end < 0:
                return None
            values.append(text[start:end])
            start = end + len(fragment)
        end = len(text) - len(others[-1])
        if end < start or not text.endswith(others[-1]):
            return None
        return [*values, text[start:end]]

    def translated(self, values: list[str]) -> tuple[int, str]:
        """Return how many characters are known, and the Chinese text."""
        size, text = self.size, ""
        for literal, hole, holds_words in self.chinese:
            text += literal
            if hole is None:
                continue
            if holds_words:
                known, value = _best_reading(values[hole])
                size += known
                text += value
            else:
                text += values[hole]
        return size, text


def report_template(english: str) -> str:
    """Return the Chinese template of a text of a report; the English one where there is none."""
    return chinese.REPORTS.get(english, english)


def translated(text: str) -> str:
    """Return a sentence in Chinese; one that no template makes, such as a message of Python, stays as it is.

    >>> translated("k must be a whole number"), translated("list index out of range")
    ('k 必须是整数', 'list index out of range')
    """
    return _best_reading(text)[1]


@cache
def _templates() -> list[_Template]:
    messages: Mapping[str, str] = chinese.MESSAGES
    return [_Template.of(english, translation) for english, translation in messages.items()]


@lru_cache(maxsize=1000)
def _best_reading(text: str) -> tuple[int, str]:
    best = (0, text)
    for template in _templates():
        for size, reading in _readings(template, text):
            if size > best[0]:
                best = (size, reading)
    return best


def _readings(template: _Template, text: str) -> list[tuple[int, str]]:
    readings = []
    values = template.values(text)
    if values is not None:
        readings.append(template.translated(values))
    first = template.fragments[0]
    start = text.find(first, 1) if template.is_clause else -1
    while start > 0:
        values = template.values(text[start:])
        if values is not None:
            size, sentence = _best_reading(text[:start])
            clause_size, clause = template.translated(values)
            readings.append((size + clause_size, sentence + clause))
        start = text.find(first, start + 1)
    return readings
