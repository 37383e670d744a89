"""Sentences → lines of a given width, in English and in Chinese."""

from __future__ import annotations

import re

from rich.cells import cell_len

# Characters that must not begin a line, and characters that must not end one.
_CLOSING = "，。；：、！？）」』”’%,.;:!?)]}"
_OPENING = "（「『“‘([{"
# A quoted token stays whole, with the space that it begins with; then words; a wide character stands alone.
_UNIT = re.compile(
    r'"[^"\n]{0,40}"|`[^`\n]*`|[\u2e80-\u9fff\uff00-\uffef]|[^\s\u2e80-\u9fff\uff00-\uffef]+|\s+'
)


def break_lines(text: str, width: int) -> list[str]:
    """Break a text into lines of at most `width` columns: at spaces, and between Chinese characters.

    >>> break_lines("one two three", 8)
    ['one two', 'three']
    >>> break_lines("词表里每个词，都有。", 12)
    ['词表里每个', '词，都有。']
    """
    lines, line = [], ""
    for unit in _units(text):
        if cell_len(line + unit.rstrip()) > width and line.strip():
            lines.append(line.rstrip())
            line = ""
        if line or not unit.isspace():
            line += unit
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _units(text: str) -> list[str]:
    """Return the units of a text that no line break may split, in order."""
    units: list[str] = []
    for unit in _UNIT.findall(text):
        before = units[-1] if units else ""
        if before and not before.isspace() and (unit[0] in _CLOSING or before[-1] in _OPENING):
            units[-1] += unit
        else:
            units.append(unit)
    return units
