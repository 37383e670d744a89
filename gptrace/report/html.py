"""A document as HTML: what a terminal shows, in colours that can be read on light and on dark."""

from __future__ import annotations

import html
from io import StringIO
from itertools import pairwise

from rich.style import Style
from rich.text import Span
from rich.text import Text as RichText

from gptrace.report.document import Document
from gptrace.report.terminal import console, parts
from gptrace.report.view import View

_WIDTH = 160
# The page's own background shows through; the colours keep their contrast on white and on black. Their
# numbers are the terminal's: 1 is red, 5 magenta, 6 cyan.
_COLORS = {1: "#c0392b", 5: "#b5338a", 6: "#1f8299"}
_PRE = "white-space:pre;overflow-x:auto;line-height:1.3;font-family:ui-monospace,Menlo,Consolas,monospace"


def to_html(document: Document, view: View) -> str:
    """Return one <pre> element, with every character of the report's text escaped."""
    wide = View(width=view.width or _WIDTH, color=True, columns=view.columns)
    screen = console(StringIO(), wide, record=True)
    screen.print(*parts(document, wide), sep="\n")
    shown = RichText.from_ansi(screen.export_text(styles=True))
    lines = [_line(line) for line in shown.split("\n", allow_blank=True)]
    return f'<pre style="{_PRE}">' + "\n".join(lines).rstrip() + "</pre>\n"


def _line(line: RichText) -> str:
    """Write one line: each run of characters of one style in a span of its own."""
    text = line.plain
    edges = sorted({0, len(text), *(edge for span in line.spans for edge in (span.start, span.end))})
    written = []
    for start, end in pairwise(edges):
        styles = _css([span for span in line.spans if span.start <= start and span.end >= end])
        part = html.escape(text[start:end])
        written.append(f'<span style="{styles}">{part}</span>' if styles and part.strip() else part)
    return "".join(written).rstrip()


def _css(spans: list[Span]) -> str:
    found = []
    for style in (span.style for span in spans if isinstance(span.style, Style)):
        if style.bold:
            found.append("font-weight:bold")
        if style.dim:
            found.append("opacity:.6")
        number = style.color.number if style.color is not None else None
        if number in _COLORS:
            found.append(f"color:{_COLORS[number]}")
    return ";".join(dict.fromkeys(found))
