"""Words and signs in place of the glyphs that a terminal or a file cannot show: they mean the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from gptrace.report.mapped_parts import with_texts
from gptrace.report.parts import Part

# Longer ones first: a product with a transposed matrix is written as in torch.
_WORDS = {
    "·Wᵀ": " @ W.T", " · ": " | ", "·": "*", "ᵀ": ".T", "Σ": "sum", "ᵢ": "_i", "ⱼ": "_j", "₁": "1", "₂": "2",
    "→": "->", "←": "<-", "≥": ">=", "≤": "<=", "≠": "!=", "≈": "~=", "±": "+/-", "×": "x", "−": "-",
    "–": "-", "—": "-", "√": "sqrt ", "∞": "inf", "∈": "in", "…": "...", "✓": "ok", "✗": "FAIL", "“": '"',
    "”": '"', "‘": "'", "’": "'", "�": "?",
}  # fmt: skip
# What tables and trees are drawn with, after they are laid out: one character for each.
_LINES = {"├": "|", "└": "`", "│": "|", "─": "-"} | dict.fromkeys("█▉▊▋▌▍▎▏", "#")
_GLYPHS = re.compile("|".join(map(re.escape, _WORDS)))
# A token or a prompt is quoted, and stays exact: its characters are spelled by their numbers.
_QUOTED = re.compile(r'("(?:[^"\\]|\\.)*")')


def in_encoding(text: str, encoding: str = "ascii") -> str:
    r"""Return a text with words for the glyphs that an encoding lacks, and numbers for other characters.

    >>> in_encoding("y = x·Wᵀ → 5 ≥ 4"), in_encoding('after "→ 你"')
    ('y = x @ W.T -> 5 >= 4', 'after "\\u2192 \\u4f60"')
    >>> in_encoding("x·Wᵀ → 你", "gbk")
    'x @ W.T → 你'
    """
    if text.isascii() or has_all_glyphs(encoding):
        return text
    words, lines = _missing_glyphs(encoding)
    parts = _QUOTED.split(text)
    parts[::2] = [
        _GLYPHS.sub(lambda glyph: words.get(glyph.group(), glyph.group()), part) for part in parts[::2]
    ]
    return "".join(parts).translate(lines).encode(encoding, "backslashreplace").decode(encoding)


def has_all_glyphs(encoding: str) -> bool:
    """Tell whether an encoding has every character that there is."""
    return encoding.lower().startswith("utf")


def parts_in_encoding(parts: Sequence[Part], encoding: str) -> list[Part]:
    """Return the parts with the characters of an encoding: before they are laid out, for words are longer."""
    return [with_texts(part, lambda text: in_encoding(text, encoding)) for part in parts]


@cache
def _missing_glyphs(encoding: str) -> tuple[dict[str, str], dict[int, str]]:
    """Return the words for the glyphs that an encoding lacks, and the signs for lines that it lacks."""
    words, lines = (
        {glyph: sign for glyph, sign in table.items() if not _has(encoding, glyph)}
        for table in (_WORDS, _LINES)
    )
    return words, {ord(glyph): sign for glyph, sign in lines.items()}


def _has(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
