"""The cells of notebooks as source files: how their code is named, and how a line of it is shown.

The code of a cell has a file name of its own, under which `linecache` holds its text. So tracebacks,
`inspect.getsource` and everything that counts lines count them within the cell.
"""

from __future__ import annotations

import re
import sys
from pathlib import PurePath
from typing import NamedTuple

_CELL = re.compile(r"(.*\.ipynb), cell ([0-9]+)", re.DOTALL)
_PROMPT = re.compile(r"In ?\[([0-9]+)\]")


class Cell(NamedTuple):
    """A cell of a notebook.

    file    the notebook's path; for a cell of the notebook that runs this code, whose path is not known, the
            name of the cell's code
    number  from 1: the place among all cells of the file, or in a running notebook the number in brackets
    """

    file: str
    number: int


def cell_file(notebook: str, number: int) -> str:
    """Return the file name of the code of a cell.

    >>> cell_file("/home/me/ch04.ipynb", 4)
    '/home/me/ch04.ipynb, cell 4'
    """
    return f"{notebook}, cell {number}"


def cell_of(file: str) -> Cell | None:
    """Return the cell whose code has this file name, or None for any other file.

    >>> cell_of("/home/me/ch04.ipynb, cell 4")
    Cell(file='/home/me/ch04.ipynb', number=4)
    >>> cell_of("model.py")
    """
    match = _CELL.fullmatch(file)
    if match is not None:
        return Cell(match[1], int(match[2]))
    number = _number_in_running_notebook(file)
    return None if number is None else Cell(file, number)


def code_file(file: str, cell: int | None) -> str:
    """Return the file name of the code that a line is in, by its file and the number of its cell.

    >>> code_file("ch04.ipynb", 4), code_file("/tmp/ipykernel_7/815.py", 4), code_file("model.py", None)
    ('ch04.ipynb, cell 4', '/tmp/ipykernel_7/815.py', 'model.py')
    """
    return file if cell is None or PurePath(file).suffix != ".ipynb" else cell_file(file, cell)


def _number_in_running_notebook(file: str) -> int | None:
    """Return the number that IPython, if it runs, shows in brackets beside the cell with this code."""
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get_shell() if callable(get_shell) else None
    format_name = getattr(getattr(shell, "compile", None), "format_code_name", None)
    label = format_name(file) if callable(format_name) else None
    match = _PROMPT.search(" ".join(map(str, label))) if label else None
    return None if match is None else int(match[1])


def shown_place(file: str, line: int, cell: int | None = None) -> str:
    """Return a line of source code as people read it; `cell` is the number of the cell that `line` is in.

    >>> shown_place("model.py", 21)
    'model.py:21'
    >>> shown_place("ch04.ipynb", 12, cell=4)
    'ch04.ipynb, cell 4, line 12'
    >>> shown_place("/tmp/ipykernel_7/815.py", 12, cell=4)
    'cell 4, line 12'
    """
    if cell is None:
        return f"{file}:{line}"
    place = f"cell {cell}, line {line}"
    return f"{file}, {place}" if PurePath(file).suffix == ".ipynb" else place
