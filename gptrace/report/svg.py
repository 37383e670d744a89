"""Neutral parts → a picture: the lines of a terminal as real text on a grid of characters, in an SVG.

Only shapes, text and presentation attributes are used, which office programs and drawing programs read, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from io import StringIO
from itertools import pairwise
from xml.sax.saxutils import escape

from gptrace.report.palette import LOOKS, Look, color_of
from gptrace.report.parts import Facts, Part, plain
from gptrace.report.quiet_rich import Segment, Style, Theme, cell_len
from gptrace.report.rich_tables import PlainText, theme_of
from gptrace.report.safe_text import visible
from gptrace.report.terminal import console, legible_width, renderables

# Pixels: a character of a monospaced font is 0.6 times as wide as it is high.
_FONT_SIZE, _CELL, _LINE, _BASELINE, _MARGIN = 14, 8.4, 20, 14.5, 20
_FONTS = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', 'Noto Sans Mono CJK SC', monospace"
_EIGHTHS = {block: 8 - number for number, block in enumerate("█▉▊▋▌▍▎▏")}
# What is drawn: bars, rules, and the branches of trees; then wide characters, then all others.
_DRAWN = re.compile(r"([█▉▊▋▌▍▎▏]+|─+|[├└│])")
_WIDE = re.compile(r"[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]+")
# A gap between columns; spaces inside of quotes belong to a token.
_QUOTED_OR_GAP = re.compile(r'"(?:\\.|[^"\\])*"|( {2,})')


def to_svg(
    parts: Sequence[Part],
    title: str,
    language: str = "en",
    theme: str | None = None,
    width: int | None = None,
) -> str:
    """Return a picture of the parts below their title, as wide as their longest line; it is light or dark."""
    return _Picture(theme or "light").drawn(parts, title, language, width)


class _Picture:
    """The elements of a picture, in pixels."""

    def __init__(self, theme: str) -> None:
        self._theme = theme

    def drawn(self, parts: Sequence[Part], title: str, language: str, width: int | None) -> str:
        lines = self._lines(parts, width)
        columns = max((sum(map(_cells, line)) for line in lines), default=0)
        size = (round(columns * _CELL + 2 * _MARGIN), len(lines) * _LINE + 2 * _MARGIN)
        elements = self._head(title, _summary(parts), language, size)
        for number, line in enumerate(lines):
            elements += self._line(line, number * _LINE + _MARGIN)
        return "\n".join([*elements, "</g>", "</svg>", ""])

    def _head(self, title: str, summary: str, language: str, size: tuple[int, int]) -> list[str]:
        width, height = size
        tag = "zh-CN" if language == "zh" else language
        return [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" xml:lang="{tag}">',
            f"<title>{_escaped(title)}</title>",
            *([f"<desc>{_escaped(summary)}</desc>"] if summary else []),
            f'<rect width="{width}" height="{height}" fill="{self._color("paper")}"/>',
            f'<g font-family="{_FONTS}" font-size="{_FONT_SIZE}" fill="{self._color("ink")}">',
        ]

    def _lines(self, parts: Sequence[Part], width: int | None) -> list[list[Segment]]:
        """Lay the parts out as for a terminal, with the looks of the picture."""
        width = legible_width(parts, width)
        screen = console(StringIO(), width, color=True, theme=_theme(self._theme))
        lines: list[list[Segment]] = []
        for each in renderables(parts, width, color=True):
            if isinstance(each, PlainText):
                lines += [[Segment(text)] for text in each.text.split("\n")]
            else:
                lines += screen.render_lines(each, pad=False)
        return [[part for part in Segment.simplify(line) if not part.control] for line in lines]

    def _line(self, line: Sequence[Segment], top: float) -> Iterator[str]:
        """Yield the backgrounds of a line, and then what stands on them."""
        starts = [sum(map(_cells, line[:number])) for number in range(len(line))]
        for column, segment in zip(starts, line, strict=True):
            background = segment.style and segment.style.bgcolor
            if background and background.triplet and segment.text.strip():
                yield _rectangle(column, top, _cells(segment), _LINE, background.triplet.hex)
        for column, segment in zip(starts, line, strict=True):
            yield from self._segment(segment, column, top)

    def _segment(self, segment: Segment, column: int, top: float) -> Iterator[str]:
        style = segment.style or Style.null()
        color = self._color_of(style)
        for text in _DRAWN.split(segment.text):
            if _DRAWN.fullmatch(text):
                yield self._drawn_glyphs(text, column, top, color)
            elif text.strip():
                yield from _runs(text, column, top, color, style)
            column += cell_len(text)

    def _drawn_glyphs(self, text: str, column: int, top: float, color: str) -> str:
        """Draw a bar, a rule, or a branch of a tree, which reaches from line to line."""
        if text[0] in _EIGHTHS:
            return _rectangle(column, top + 4, sum(_EIGHTHS[glyph] for glyph in text) / 8, _LINE - 8, color)
        x, y = _MARGIN + column * _CELL, top + _LINE / 2
        path = {"├": f"v{_LINE}m0 {-_LINE / 2:g}h{_CELL / 2:g}", "└": f"v{_LINE / 2:g}h{_CELL / 2:g}"}
        if text[0] == "─":
            path_data, color = f"M{x:g} {y:g}h{len(text) * _CELL:g}", self._color("rule")
        else:
            path_data = f"M{x + _CELL / 2:g} {top:g}{path.get(text[0], f'v{_LINE}')}"
        return f'<path d="{path_data}" fill="none" stroke="{color}"/>'

    def _color_of(self, style: Style) -> str:
        if style.color and style.color.triplet:
            return style.color.triplet.hex
        return self._color("quiet" if style.dim else "ink")

    def _color(self, name: str) -> str:
        return color_of(name, self._theme)


def _runs(text: str, column: int, top: float, color: str, style: Style) -> Iterator[str]:
    """Yield the text and its line below it: each run at its column, as long as its columns."""
    weight = ' font-weight="600"' if style.bold else ""
    for piece in _without_gaps(text):
        for run in _split(piece, _WIDE.finditer(piece)):
            words_of_run = run.strip(" ")
            if words_of_run:
                spaces = ' xml:space="preserve"' if "  " in words_of_run else ""
                start = column + len(run) - len(run.lstrip(" "))
                x, length = _MARGIN + start * _CELL, cell_len(words_of_run) * _CELL
                yield (
                    f'<text x="{x:g}" y="{top + _BASELINE:g}" fill="{color}"{weight}{spaces} '
                    f'textLength="{length:g}">{_escaped(words_of_run)}</text>'
                )
                yield from _underline(style.meta.get("line", ""), x, top + _LINE - 3, length, color)
            column += cell_len(run)


def _without_gaps(text: str) -> list[str]:
    """Split a text at gaps, which are pieces of their own."""
    return _split(text, (match for match in _QUOTED_OR_GAP.finditer(text) if match[1]))


def _split(text: str, matches: Iterable[re.Match[str]]) -> list[str]:
    """Split a text before and after each match, and keep all of it."""
    cuts = [0, *(edge for match in matches for edge in match.span()), len(text)]
    return [text[start:end] for start, end in pairwise(cuts) if end > start]


def _underline(kind: str, x: float, y: float, length: float, color: str) -> Iterator[str]:
    dashes = ' stroke-dasharray="1.5 2.5"' if kind == "dotted" else ""
    for below in {"": (), "double": (-1, 1.5)}.get(kind, (0,)):
        yield f'<path d="M{x:g} {y + below:g}h{length:g}" stroke="{color}"{dashes} stroke-width="0.8"/>'


def _rectangle(column: float, top: float, columns: float, height: float, color: str) -> str:
    x, width = _MARGIN + column * _CELL, columns * _CELL
    return f'<rect x="{x:g}" y="{top:g}" width="{width:g}" height="{height:g}" fill="{color}"/>'


@cache
def _theme(theme: str) -> Theme:
    return theme_of({role: _style(look, theme) for role, look in LOOKS.items()})


def _style(look: Look, theme: str) -> Style:
    return Style(
        color=color_of(look.color, theme),
        bgcolor=color_of(look.background, theme) if look.background else None,
        bold=look.bold or None,
        meta={"line": look.underline} if look.underline else None,
    )


def _cells(segment: Segment) -> int:
    return cell_len(segment.text)


def _summary(parts: Sequence[Part]) -> str:
    """Return the facts at the head of a report, for a screen reader."""
    facts = next((part for part in parts if isinstance(part, Facts)), None)
    return "; ".join(f"{name}: {plain(line)}" for name, line in facts.pairs if name) if facts else ""


def _escaped(text: str) -> str:
    return escape(visible(text))
