"""Shape comments in source text: found by their mark, put in, replaced and taken out; code stays as it is."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Mapping, Sequence
from typing import NamedTuple

MARK = "# gptrace: "
_GAP = "  "
_SHAPES = r"(?:[^\s\[,]\S* )?\[[^][]*\](?: \[[\d, ]*\])?"
# A comment with the mark that says anything else is a person's, and stays.
_OURS = re.compile(rf"{MARK}{_SHAPES}(?:, {_SHAPES})*(?:, \.\.\. \d+ more)?\s*")
_BLANK = frozenset({
    tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
})  # fmt: skip
# From Python 3.12 on, an f-string is many tokens; a line that ends between these two is inside of it.
_F_STRING = tuple(getattr(tokenize, name, -1) for name in ("FSTRING_START", "FSTRING_END"))


class _LineEnd(NamedTuple):
    """What stands at the end of a line: the column of a comment after code, -1 without one."""

    comment: int
    is_comment: bool


class CommentedLines(NamedTuple):
    """The lines of a file with other comments.

    refused  the lines that can take none: they end inside a string or with a backslash
    foreign  the lines with a comment that begins as those of gptrace do, and is not one
    """

    lines: list[str]
    refused: list[int]
    foreign: list[int]


def with_comments(lines: Sequence[str], comments: Mapping[int, str]) -> CommentedLines:
    """Return the lines of a file with these comments at their ends, by line number, and no others of gptrace.

    All else stays byte by byte, also spaces at the ends of lines, so that removing the comments restores the
    file. Raises SyntaxError for a text that is no Python.

    >>> with_comments(["x = f(x)  # old  # gptrace: [4]\\n"], {1: "[8]"}).lines
    ['x = f(x)  # old  # gptrace: [8]\\n']
    """
    ends = _line_ends(lines)
    changed, refused, foreign = [], [], []
    for number, line in enumerate(lines, 1):
        body = line.rstrip("\r\n")
        line_break, end = line[len(body) :], ends.get(number)
        if end is not None and end.comment >= 0:
            body, is_foreign = _without_ours(body, end.comment)
            foreign += [number] if is_foreign else []
        if (text := comments.get(number)) is not None:
            if end is None or (body.endswith("\\") and not end.is_comment):
                refused.append(number)
            else:
                body = f"{body}{_GAP}{MARK}{text}"
        changed.append(body + line_break)
    return CommentedLines(changed, refused, foreign)


def without_comments(lines: Sequence[str]) -> list[str]:
    """Return the lines of a file without the shape comments of gptrace.

    >>> without_comments(["x = f(x)  # residual  # gptrace: [batch, seq_len]"])
    ['x = f(x)  # residual']
    """
    return with_comments(lines, {}).lines


def _without_ours(body: str, start: int) -> tuple[str, bool]:
    """Return a line without what gptrace wrote at the end of the comment that begins at `start`.

    The second value tells whether a comment stays that has its mark.
    """
    mark = _last_mark(body, start)
    if mark is None or not _OURS.fullmatch(body, mark):
        return body, mark is not None
    # Another tool may have left one space before it.
    own = body[:mark].removesuffix(_GAP)
    body = own if len(own) < mark else own.removesuffix(" ")
    return body, _last_mark(body, start) is not None


def _last_mark(body: str, start: int) -> int | None:
    """Return where a comment begins that has the mark: all of the comment at `start`, or its end."""
    last = body.rfind(_GAP + MARK, start)
    mark = start if last < 0 else last + len(_GAP)
    return mark if body.startswith(MARK, mark) else None


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
