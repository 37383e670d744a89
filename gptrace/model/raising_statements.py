"""Where an exception comes from: the instruction, and the assert or raise in the syntax tree of its file."""

from __future__ import annotations

import ast
import linecache
from itertools import islice
from types import TracebackType


def innermost(error: BaseException) -> TracebackType | None:
    """Return the part of a traceback that belongs to the frame which raised; None without a traceback."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback


def position(traceback: TracebackType) -> tuple[int | None, int | None, int | None, int | None]:
    """Return the first and last line, and the columns, of what a frame stopped at; None where unknown."""
    # Two bytes are an instruction. Several statements may share a line, so their columns count as well.
    positions = traceback.tb_frame.f_code.co_positions()
    return next(islice(positions, traceback.tb_lasti // 2, None), (None,) * 4)


def raising_statement(traceback: TracebackType) -> tuple[ast.Assert | ast.Raise, ast.AST] | None:
    """Return the assert or raise that a frame stopped at, and the statement that it is in; None for others.

    An exception while a raise makes its own is none of it.
    """
    code = traceback.tb_frame.f_code
    lines = linecache.getlines(code.co_filename, traceback.tb_frame.f_globals)
    try:
        tree = ast.parse("".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    line, _, column, _ = position(traceback)
    place = traceback.tb_lineno if line is None else line, column
    found = [
        (child, parent)
        for parent in ast.walk(tree)
        for child in ast.iter_child_nodes(parent)
        if isinstance(child, ast.Assert | ast.Raise) and _is_at(child, *place)
    ]
    return found[0] if len(found) == 1 else None


def _is_at(statement: ast.Assert | ast.Raise, line: int, column: int | None) -> bool:
    """Tell whether a statement is at a place; where Python keeps no columns, the line decides."""
    start, end = (statement.lineno, statement.col_offset), (statement.end_lineno, statement.end_col_offset)
    if isinstance(statement, ast.Raise):  # the place of the whole statement is its start
        return start == (line, start[1] if column is None else column)
    if column is None:
        return start[0] <= line <= (end[0] or 0)
    return start <= (line, column) < end
