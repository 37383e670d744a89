"""Shape comments in source text: found by their mark, put in, replaced and taken out; code stays as it is."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Mapping, Sequence
from functools import lru_cache

MARK = "# gptrace: "
_GAP = "  "


def without_comment(line: str) -> str:
    """Return a line without a shape comment of gptrace at its end.

    >>> without_comment("x = f(x)  # residual  # gptrace: [batch, seq_len]")
    'x = f(x)  # residual'
    """
    return line.rpartition(MARK)[0].rstrip() if _has_comment(line) else line


def with_comments(lines: Sequence[str], comments: Mapping[int, str]) -> tuple[list[str], list[int]]:
    """Return the lines of a file with these comments at their ends, by line number, and no others of gptrace.

    The second value names the lines that can take no comment: they end inside a string or with a backslash.
    Raises SyntaxError for a text that is no Python.
    """
    last_tokens = _last_tokens(lines)
    changed, refused = [], []
    for number, line in enumerate(lines, 1):
        body = line.rstrip("\r\n")
        end = line[len(body) :]
        last = last_tokens.get(number)
        if last == tokenize.COMMENT:
            body = without_comment(body)
        if (text := comments.get(number)) is not None:
            if last is None or body.endswith("\\"):
                refused.append(number)
            else:
                body = f"{body.rstrip()}{_GAP}{MARK}{text}"
        changed.append(body + end)
    return changed, refused


def _has_comment(line: str) -> bool:
    return MARK in line


def _last_tokens(lines: Sequence[str]) -> Mapping[int, int]:
    return _tokens("".join(lines))


@lru_cache(maxsize=8)
def _tokens(text: str) -> Mapping[int, int]:
    """Return the kind of the last token on each line, of lines at whose end a comment may stand."""
    last: dict[int, int] = {}
    inside: set[int] = set()  # lines that end within a string
    ignored = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            inside.update(range(token.start[0], token.end[0]))
            if token.type not in ignored:
                last[token.end[0]] = token.type
    except (tokenize.TokenError, IndentationError) as error:
        raise SyntaxError(str(error)) from None
    return {line: kind for line, kind in last.items() if line not in inside}
