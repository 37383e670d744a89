"""Sentences → lines of a given width, in English and in Chinese."""

from __future__ import annotations

import re

from gptrace.report.quiet_rich import Text, cell_len

_WIDE = r"\u2e80-\u9fff\uff00-\uffef"
# Characters that must not begin a line, and characters that must not end one.
_CLOSING = "，。；：、！？）」』”’%,.;:!?)]}"
_OPENING = "（「『“‘([{"
# Quoted tokens, code, shapes, options with their value, and numbers with their unit stay whole; then words.
# A wide character stands alone.
_UNIT = re.compile(
    r'"[^"\n]{0,40}"|`[^`\n]*`|\[[^\[\]\n]{0,80}\]'
    r"|(?<![\w.])\d[\d,.]*(?:e[+-]?\d+)? (?:%|ms|B|[KMGT]iB)(?!\w)"
    r"|--[\w-]+ [A-Z]{2,}(?!\w)"
    rf"|(?:→|->) | ·|[{_WIDE}]|\[|[^\s\[{_WIDE}]+|\s+"
)
_ARROWS = ("→ ", "-> ")
# A unit that is wider than a line is split at spaces, and what is still wider after separators of names.
_SPLITS = (
    re.compile(r"(?<=\s)(?=\S)"),
    re.compile(r"(?<=[/_\\])(?=\w)|(?<!\d\.)(?<=\.)(?=\w)|(?<=[a-z])(?=[A-Z])"),
)


def break_lines(text: str, width: int) -> list[str]:
    """Break a text into lines of at most `width` columns: at spaces, and between Chinese characters.

    >>> break_lines("one two three", 8)
    ['one two', 'three']
    >>> break_lines("词表里每个词，都有。", 12)
    ['词表里每个', '词，都有。']
    >>> break_lines("[1, 4] → [1, 4, 768]", 16)
    ['[1, 4]', '→ [1, 4, 768]']
    """
    return [text[start:end] for start, end in _line_ends(text, width)]


def broken(text: Text, width: int | None) -> Text:
    """Break a text with styles into lines, as `break_lines` does; without a width it stays as it is."""
    if width is None or (cell_len(text.plain) <= width and "\n" not in text.plain):
        return text
    cuts = [cut for ends in _line_ends(text.plain, width) for cut in ends]
    # All at once: a slice of a text looks at all of its styles, of which a tinted text has thousands.
    return Text("\n", style=text.style).join(text.divide(cuts)[1::2])


def widest_unit(text: str, *, splits: int = 0) -> int:
    """Return the columns that the widest part of a text takes that is not broken.

    splits  how often units may be split: 0 not at all, 1 at spaces, 2 also within names

    >>> widest_unit("of [1, 4, emb_dim]"), widest_unit("of [1, 4, emb_dim]", splits=1)
    (15, 8)
    """
    pieces = [unit for part in text.split("\n") for unit in _units(part)]
    for split in _SPLITS[:splits]:
        pieces = [piece for unit in pieces for piece in split.split(unit)]
    return max((cell_len(piece.rstrip()) for piece in pieces), default=0)


def _line_ends(text: str, width: int) -> list[tuple[int, int]]:
    """Return where each line starts and ends in a text, without the spaces around it."""
    ends: list[tuple[int, int]] = []
    offset = 0
    for part in text.split("\n"):
        first = len(ends)
        start = end = offset  # of the line that is being filled
        columns = 0  # that it takes so far, with the spaces at its end
        for unit in _units_within(part, width):
            stop = offset + len(unit)
            if unit.isspace():
                if start == offset and len(ends) > first:
                    start = end = stop
                else:
                    columns += cell_len(unit)
            else:
                word = unit.rstrip()
                if columns + cell_len(word) > width and text[start:end].strip():
                    ends.append((start, end))
                    start, columns = offset, 0
                end = offset + len(word)
                columns += cell_len(unit)
            offset = stop
        if end > start or len(ends) == first:
            ends.append((start, end))
        offset += 1  # the line break itself
    return ends


def _units_within(text: str, width: int) -> list[str]:
    """Return the units of one line, those that are wider than `width` split."""
    pieces = _units(text)
    for split in _SPLITS:
        pieces = [
            part for piece in pieces for part in (split.split(piece) if _too_wide(piece, width) else [piece])
        ]
    return [part for piece in pieces for part in (list(piece) if _too_wide(piece, width) else [piece])]


def _too_wide(piece: str, width: int) -> bool:
    return cell_len(piece.rstrip()) > width


def _units(text: str) -> list[str]:
    """Return the units of a text that no line break may split, in order."""
    units: list[str] = []
    wide_before = True
    for unit in _UNIT.findall(text):
        before = units[-1] if units else ""
        wide = re.match(f"[{_WIDE}]", unit) is not None
        touching = bool(before) and not before[-1].isspace() and not unit.isspace()
        if (
            (touching and not wide and not wide_before)
            or (touching and (unit[0] in _CLOSING or before[-1] in _OPENING))
            or (before.endswith(_ARROWS) and not unit.isspace())
            or (before and unit == " ·")
        ):
            units[-1] += unit
        else:
            units.append(unit)
        wide_before = wide
    return units
