"""Shape comments in source text: found by their mark, put in, replaced and taken out; code stays as it is."""

from __future__ import annotations

import tokenize
from collections.abc import Mapping, Sequence
from typing import NamedTuple

MARK = "# gptrace: "
_GAP = "  "
_BLANK = frozenset({
    tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
})  # fmt: skip
# From Python 3.12 on, an f-string is many tokens; a line that ends between these two is inside of it.
_F_STRING = tuple(getattr(tokenize, name, -1) for name in ("FSTRING_START", "FSTRING_END"))


class _LineEnd(NamedTuple):
    """What stands at the end of a line: the column of a comment after code, -1 without one."""

    comment: int
    is_comment: bool


def with_comments(lines: Sequence[str], comments: Mapping[int, str]) -> tuple[list[str], list[int]]:
    """Return the lines of a file with these comments at their ends, by line number, and no others of gptrace.

    The second value names the lines that can take no comment: they end inside a string or with a backslash.
    Raises SyntaxError for a text that is no Python.

    >>> with_comments(["x = f(x)  # old  # gptrace: [4]\\n"], {1: "[8]"})
    (['x = f(x)  # old  # gptrace: [8]\\n'], [])
    """
    ends = _line_ends(lines)
    changed, refused = [], []
    for number, line in enumerate(lines, 1):
        body = line.rstrip("\r\n")
        line_break, end = line[len(body) :], ends.get(number)
        if end is not None and end.comment >= 0:
            kept = _without_mark(body[end.comment :])
            body = body[: end.comment] + kept if kept else body[: end.comment].rstrip()
        if (text := comments.get(number)) is not None:
            if end is None or (body.endswith("\\") and not end.is_comment):
                refused.append(number)
            else:
                body = f"{body.rstrip()}{_GAP}{MARK}{text}"
        changed.append(body + line_break)
    return changed, refused


def without_comments(lines: Sequence[str]) -> list[str]:
    """Return the lines of a file without the shape comments of gptrace.

    >>> without_comments(["x = f(x)  # residual  # gptrace: [batch, seq_len]"])
    ['x = f(x)  # residual']
    """
    return with_comments(lines, {})[0]


def _without_mark(comment: str) -> str:
    """Return a comment without what gptrace wrote, which stands at its end."""
    if comment.startswith(MARK):
        return ""
    own, mark, _ = comment.rpartition(_GAP + MARK)
    return own if mark else comment


def _line_ends(lines: Sequence[str]) -> dict[int, _LineEnd]:
    """Return the end of each line at which a comment may stand, by its number."""
    ends: dict[int, _LineEnd] = {}
    inside: set[int] = set()  # lines that end within a string
    open_at: list[int] = []
    try:
        ended = (line.rstrip("\r\n") + "\n" for line in lines)
        for token in tokenize.generate_tokens(ended.__next__):
            if token.type == _F_STRING[0]:
                open_at.append(token.start[0])
            elif token.type == _F_STRING[1]:
                inside.update(range(open_at.pop(), token.end[0]))
            inside.update(range(token.start[0], token.end[0]) if token.type not in _BLANK else ())
            if token.type == tokenize.COMMENT:
                is_after_code = token.start[0] in ends
                ends[token.start[0]] = _LineEnd(token.start[1] if is_after_code else -1, True)
            elif token.type not in _BLANK:
                ends[token.end[0]] = _LineEnd(-1, False)
    except (tokenize.TokenError, IndentationError) as error:
        raise SyntaxError(str(error)) from None
    return {line: end for line, end in ends.items() if line not in inside}
