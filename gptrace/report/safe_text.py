"""Text from outside, made safe to show: no escape sequence, no bidirectional control, no broken row."""

from __future__ import annotations

import re
import unicodedata

from gptrace.record import Failure, Token
from gptrace.wording import one_line

# Quoted text, in which a backquote is a backquote; then code in backquotes.
_QUOTED_OR_CODE = re.compile(r'("(?:\\.|[^"\\])*")|`([^`]+)`')
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    """Spell out every character that would not show as itself.

    Python's notion of printable leaves out controls, format characters (bidirectional marks, joiners),
    separators other than the space, surrogates and unassigned code points.

    >>> visible("a\\x1b[31m\\u202eb\\n")
    'a\\\\x1b[31m\\\\u202eb\\\\n'
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def visible_lines(text: str) -> str:
    """Return safe text whose line breaks are line breaks."""
    return "\n".join(visible(part) for part in text.split("\n"))


def shortened_to(label: str, width: int) -> str:
    """Return a label cut to so many columns of a terminal, where wide characters take two.

    >>> shortened_to("supervise", 6), shortened_to("你好吗", 5), shortened_to("ok", 5)
    ('super…', '你好…', 'ok')
    """
    widths = [2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in label]
    if sum(widths) <= width:
        return label
    ends = [end for end in range(len(label)) if sum(widths[:end]) <= width - 1]
    return label[: ends[-1]].rstrip() + "…"


def quoted(text: str) -> str:
    """Put safe text into quotation marks, so that its spaces can be seen.

    >>> quoted(' "Hi"')
    '" \\\\"Hi\\\\""'
    """
    return '"' + visible(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def token_label(token: Token) -> str:
    r"""Return a token as people see it: quoted text, bytes of half a character, or a dash for an unknown one.

    >>> token_label(Token(22177, None, b"\xe4\xbd"))
    '<e4 bd>'
    """
    if token.text is not None:
        return quoted(token.text)
    if token.bytes is not None:
        return f"<{token.bytes.hex(' ')}>"
    return "–"


def token_or_id(token: Token) -> str:
    """Return a token as people see it, or its id where its text and bytes are unknown.

    >>> token_or_id(Token(60000, None, None))
    'id 60000'
    """
    return token_label(token) if token.bytes is not None or token.text is not None else f"id {token.id}"


def exception_label(failure: Failure) -> str:
    """Return the class of an exception and its message, if it has one, as a line that is safe to show.

    >>> exception_label(Failure("", "ValueError", "no\\nway", "", None, None, ()))
    'ValueError: no way'
    """
    message = one_line(failure.message, limit=None)
    return visible(f"{failure.type}: {message}" if message else failure.type)


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def code_spans(text: str) -> list[tuple[str, bool]]:
    r"""Split a sentence into texts, each with whether it is code, which stands in backquotes outside quotes.

    >>> code_spans('`tok_emb` of "`"')
    [('tok_emb', True), (' of "`"', False)]
    """
    spans: list[tuple[str, bool]] = []
    start = 0
    for match in _QUOTED_OR_CODE.finditer(text):
        if match[2] is not None:
            spans += [(text[start : match.start()], False), (match[2], True)]
            start = match.end()
    return [(span, is_code) for span, is_code in [*spans, (text[start:], False)] if span]
