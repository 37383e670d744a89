"""The text of a page in a browser without scripts: the main line, the next tokens, notes, the failure."""

from __future__ import annotations

import html

from gptrace.record import Page
from gptrace.report import outputs, terminal
from gptrace.report.parts import Tree
from gptrace.report.view import View
from gptrace.translation import in_language, words

_WIDTH = 80


def to_plain_html(page: Page) -> str:
    """Return elements without styles; the tree of calls, which is long, is left to the script."""
    view = View(width=_WIDTH, lang=page.language)
    parts = [part for part in outputs.parts(page.trace, view) if not isinstance(part, Tree)]
    more = in_language(words("With its script, this page also shows the model's map."), page.language)
    text = terminal.to_text(parts, view)
    return f"<p>{html.escape(more)}</p>\n<pre>{html.escape(text, quote=False)}</pre>\n"
