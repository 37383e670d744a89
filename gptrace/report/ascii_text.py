"""Words and signs in place of glyphs, for terminals and files that are not UTF-8: the same in ASCII."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gptrace.report.mapped_parts import with_texts
from gptrace.report.parts import Part

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
    return [with_texts(part, ascii_text) for part in parts]
