"""Words and signs in place of glyphs, for terminals and files that are not UTF-8: the same in ASCII."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gptrace.report.parts import Claims, ClaimText, Facts, Line, Lines, Part, Table, Tree, TreeRow
from gptrace.report.table_data import Column, TableData

# Longer ones first: a product with a transposed matrix is written as in torch.
_WORDS = {
    "·Wᵀ": " @ W.T", " · ": " | ", "·": "*", "ᵀ": ".T", "Σ": "sum", "ᵢ": "_i", "ⱼ": "_j", "₁": "1", "₂": "2",
    "→": "->", "←": "<-", "≥": ">=", "≤": "<=", "≠": "!=", "≈": "~=", "±": "+/-", "×": "x", "−": "-",
    "–": "-", "—": "-", "√": "sqrt", "∞": "inf", "∈": "in", "…": "...", "✓": "ok", "✗": "FAIL", "“": '"',
    "”": '"', "‘": "'", "’": "'", "�": "?",
}  # fmt: skip
# What tables and trees are drawn with, after they are laid out: one character for each.
_LINES = str.maketrans({"├": "|", "└": "`", "│": "|", "─": "-"} | dict.fromkeys("█▉▊▋▌▍▎▏", "#"))
_GLYPHS = re.compile("|".join(map(re.escape, _WORDS)))
# A token or a prompt is quoted, and stays exact: its characters are spelled by their numbers.
_QUOTED = re.compile(r'("(?:[^"\\]|\\.)*")')


def ascii_text(text: str) -> str:
    r"""Return a text in ASCII: words for its glyphs, numbers for all other characters.

    >>> ascii_text("y = x·Wᵀ → 5 ≥ 4"), ascii_text('after "→ 你"')
    ('y = x @ W.T -> 5 >= 4', 'after "\\u2192 \\u4f60"')
    """
    if text.isascii():
        return text
    parts = _QUOTED.split(text)
    parts[::2] = [_GLYPHS.sub(lambda glyph: _WORDS[glyph.group()], part) for part in parts[::2]]
    return "".join(parts).translate(_LINES).encode("ascii", "backslashreplace").decode()


def ascii_parts(parts: Sequence[Part]) -> list[Part]:
    """Return the parts in ASCII: before they are laid out, for words are longer than glyphs."""
    return [_ascii_part(part) for part in parts]


def _ascii_part(part: Part) -> Part:
    match part:
        case Lines():
            return replace(part, lines=[_line(line) for line in part.lines])
        case Facts():
            return Facts([(ascii_text(name), _line(line)) for name, line in part.pairs])
        case Table():
            lines = [_line(line) for line in part.lines]
            return Table(_table(part.data), ascii_text(part.title), lines)
        case Tree():
            columns = [(ascii_text(title), is_number) for title, is_number in part.columns]
            return Tree(
                [_row(row) for row in part.rows], ascii_text(part.shapes_title), part.has_types, columns
            )
        case Claims():
            return Claims(ascii_text(part.title), [_claim(claim) for claim in part.claims])


def _line(line: Line) -> Line:
    return tuple((ascii_text(text), role) for text, role in line)


def _table(table: TableData) -> TableData:
    return TableData([_column(column) for column in table.columns], table.rows)


def _column(column: Column) -> Column:
    units_of = column.units_of
    return replace(
        column,
        title=column.title and ascii_text(column.title),
        show=lambda value: ascii_text(column.show(value)),
        units_of=None if units_of is None else lambda value: list(map(ascii_text, units_of(value))),
    )


def _row(row: TreeRow) -> TreeRow:
    texts = ("label", "guide", "below", "type", "shapes", "sizes", "entering", "leaving")
    changes: dict[str, Any] = {name: ascii_text(getattr(row, name)) for name in texts}
    return replace(row, cells=[ascii_text(cell) for cell in row.cells], **changes)


def _claim(claim: ClaimText) -> ClaimText:
    return ClaimText(ascii_text(claim.mark), claim.role, ascii_text(claim.text), ascii_text(claim.figures))
