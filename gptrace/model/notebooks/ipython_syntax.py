"""The source of a cell → Python code with the same lines: what only IPython understands is left out."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from textwrap import dedent

# Cell magics whose cell is Python code that runs in the notebook; the cells of others are left out.
_OF_PYTHON = ("time", "capture", "prun", "gptrace")
_MAGIC = re.compile(r"\s*[%!?/,;]")  # %matplotlib inline, !pip install torch, ?print, /print 1
# The prompts before code that was copied from a session. In Python no statement begins with >>>.
_PROMPT = re.compile(r"\s*>>>[ \t]?")
_LATER_PROMPT = re.compile(r"\s*(?:>>>|\.\.\.)[ \t]?")
_IPYTHON_PROMPT = re.compile(r"(?:(?:\[(?:nav|ins)\])? )?In \[\d+\]: |\s*\.{3,}: ?")

_EMPTY = "pass" + "  # "


@dataclass(frozen=True, slots=True)
class PythonCode:
    """The code of a cell; `cell_magic` begins a cell that is not to be run, and is "" for other cells."""

    text: str
    cell_magic: str = ""


def without_magics(source: str) -> PythonCode:
    r"""Return the Python code of a cell: each line that is a magic becomes `pass`, with itself as a comment.

    As in IPython, the cell may be indented, or have the prompts of a session before its lines.

    >>> without_magics("%matplotlib inline\nx = (1\n % 2)").text
    'pass  # %matplotlib inline\nx = (1\n % 2)'
    >>> without_magics("%%bash\nls").cell_magic
    '%%bash'
    >>> without_magics(">>> for i in x:\n...     f(i)").text
    'for i in x:\n    f(i)'
    """
    lines = _as_typed(source)
    first = _first_line(lines)
    if not lines[first].startswith("%%"):
        return PythonCode(_with_magics_as_comments(lines))
    name = lines[first].split()[0]
    if name.removeprefix("%%") not in _OF_PYTHON:
        return PythonCode(_with_magics_as_comments(lines), name)
    cell = without_magics("\n".join(lines[first + 1 :]))
    return PythonCode("\n".join([*lines[:first], f"# {lines[first]}", cell.text]), cell.cell_magic)


def _first_line(lines: Sequence[str]) -> int:
    return next((number for number, line in enumerate(lines) if line.strip()), 0)


def _as_typed(source: str) -> list[str]:
    """Return the lines of a cell without a common indent and without the prompts of IPython."""
    lines = source.split("\n")
    first = _first_line(lines)
    if lines[first][:1].isspace():
        lines = dedent(source).split("\n")
    if any(map(_IPYTHON_PROMPT.match, lines[first : first + 2])):
        lines = [_IPYTHON_PROMPT.sub("", line, count=1) for line in lines]
    return lines


def _with_magics_as_comments(lines: list[str]) -> str:
    """Return the text of lines in which each magic is `pass` and a comment, and no line has a prompt."""
    number = 0
    while number < len(lines):
        if _PROMPT.match(lines[number]):
            session = [_LATER_PROMPT.sub("", line, count=1) for line in lines[number:]]
            lines[number:] = dedent("\n".join(session)).split("\n")
        is_magic = _MAGIC.match(lines[number]) is not None
        end = _end_of_magic(lines, number) if is_magic else number
        if not is_magic:
            end, is_magic = _end_of_statement(lines, number)
        if is_magic:
            # A block may hold nothing else, and needs a statement.
            indent = lines[number][: len(lines[number]) - len(lines[number].lstrip())]
            text = [line.lstrip() for line in lines[number:end]]
            lines[number:end] = [f"{indent}{_EMPTY}{text[0]}", *(f"{indent}# {line}" for line in text[1:])]
        number = end
    return "\n".join(lines)


def _end_of_magic(lines: Sequence[str], start: int) -> int:
    """Return the number of the line after the magic that begins at `start`."""
    return next((n + 1 for n in range(start, len(lines)) if not lines[n].endswith("\\")), len(lines))


def _end_of_statement(lines: Sequence[str], start: int) -> tuple[int, bool]:
    """Return the number of the line after the statement that begins at `start`.

    The second value tells whether it is no Python: it assigns what a magic returns, as in `files = !ls` and
    `timing = %timeit -o f()`, or ends in a question mark, so that IPython shows help in its place.
    """
    rest = (f"{lines[number]}\n" for number in range(start, len(lines)))
    depth, last = 0, ""
    assigned: list[str] | None = None  # what comes after the first `=` outside brackets
    with suppress(tokenize.TokenError, SyntaxError):  # an IndentationError is one
        for token in tokenize.generate_tokens(lambda: next(rest, "")):
            is_alone = token.type == tokenize.NL and not token.line.partition("#")[0].strip()
            if token.type == tokenize.NEWLINE or (is_alone and token.end[0] == 1):
                return start + token.end[0], last == "?"
            last = token.string
            if assigned is not None and not last.isspace():
                assigned.append(last)
                if assigned == ["!"] or (assigned[:-1] == ["%"] and token.type == tokenize.NAME):
                    return _end_of_magic(lines, start + token.start[0] - 1), True
            elif token.type == tokenize.OP:
                depth += (last in "([{") - (last in ")]}")
                assigned = [] if last == "=" and depth == 0 else None
    return len(lines), False  # no Python code: what follows cannot be run either
