"""Texts and roles → escaped HTML."""

from __future__ import annotations

import html

from gptrace.report.parts import Line
from gptrace.report.safe_text import code_spans, visible
from gptrace.report.stylesheet import class_of
from gptrace.translation import in_language, words

# What a mark says to those who do not see it.
_MARKS = {"✓": words("holds"), "✗": words("does not hold"), "–": words("not judged")}


def escaped(text: str) -> str:
    """Escape a text for an element or an attribute; its line breaks stay.

    >>> escaped('<b> "' + chr(27))
    '&lt;b&gt; &quot;\\\\x1b'
    """
    return html.escape("\n".join(map(visible, text.split("\n"))))


def span(text: str, role: str, attributes: str = "") -> str:
    """Return a text in the class of its role; `attributes` are escaped already."""
    if not role and not attributes:
        return escaped(text)
    kind = f' class="{class_of(role)}"' if role else ""
    return f"<span{kind}{attributes}>{escaped(text)}</span>"


def spans(line: Line, *, is_prose: bool = False) -> str:
    """Return a line; in prose, plain text in backquotes is code, and bold text is a token."""
    return "".join(
        prose(text) if is_prose and not role else span(text, role if text.strip() else "")
        for text, role in line
    )


def prose(text: str) -> str:
    """Escape a sentence; what stands in backquotes is code."""
    return "".join(
        f"<code>{escaped(each)}</code>" if is_code else escaped(each) for each, is_code in code_spans(text)
    )


def labelled_mark(text: str, language: str, role: str = "") -> tuple[str, str]:
    """Return the mark that a text begins with, with a name for a screen reader, and the rest of the text."""
    mark = text[:1]
    if mark not in _MARKS or (len(text) > 1 and text[1] != " "):
        return "", text
    name = escaped(in_language(_MARKS[mark], language))
    kind = class_of(role or {"✓": "holds", "✗": "fails"}.get(mark, "quiet"))
    return f'<span class="{kind}" role="img" aria-label="{name}">{mark}</span>', text[1:]
