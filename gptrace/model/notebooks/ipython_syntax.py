"""The source of a cell → Python code with the same lines: what only IPython understands is left out."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

# Cell magics whose cell is Python code that runs in the notebook; the cells of others are left out.
_OF_PYTHON = ("time", "capture", "prun", "gptrace")
_MAGIC = re.compile(
    r"\s*(?:[%!?]"  # %matplotlib inline, !pip install torch, ?print
    r"|[\w.*]+\?{1,2}\s*$"  # print?
    r"|[\w., \[\]'\"]+=\s*(?:!|%[a-zA-Z]))"  # files = !ls, timing = %timeit -o f()
)

_EMPTY = "pass" + "  # "


@dataclass(frozen=True, slots=True)
class PythonCode:
    """The code of a cell; `cell_magic` begins a cell that is not to be run, and is "" for other cells."""

    text: str
    cell_magic: str = ""


def without_magics(source: str) -> PythonCode:
    r"""Return the Python code of a cell: each line that is a magic becomes `pass`, with itself as a comment.

    >>> without_magics("%matplotlib inline\nx = (1\n % 2)").text
    'pass  # %matplotlib inline\nx = (1\n % 2)'
    >>> without_magics("%%bash\nls").cell_magic
    '%%bash'
    """
    lines = source.split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    cell_magic = ""
    if lines[first].startswith("%%"):
        name = lines[first].split()[0]
        cell_magic = "" if name.removeprefix("%%") in _OF_PYTHON else name
    number = 0
    while number < len(lines):
        if not _MAGIC.match(lines[number]):
            number = _end_of_statement(lines, number)
            continue
        # A block may hold nothing else, and needs a statement.
        indent = lines[number][: len(lines[number]) - len(lines[number].lstrip())]
        start = indent + _EMPTY
        is_continued = True
        while is_continued and number < len(lines):
            is_continued = lines[number].endswith("\\")
            lines[number] = start + lines[number].lstrip()
            start = indent + "# "
            number += 1
    return PythonCode("\n".join(lines), cell_magic)


def _end_of_statement(lines: Sequence[str], start: int) -> int:
    """Return the number of the line after the statement that begins at `start`."""
    rest = (f"{lines[number]}\n" for number in range(start, len(lines)))
    with suppress(tokenize.TokenError, SyntaxError):  # an IndentationError is one
        for token in tokenize.generate_tokens(lambda: next(rest, "")):
            is_alone = token.type == tokenize.NL and not token.line.partition("#")[0].strip()
            if token.type == tokenize.NEWLINE or (is_alone and token.end[0] == 1):
                return start + token.end[0]
    return len(lines)  # no Python code: what follows cannot be run either
