"""An exception that refuses a size which another one does not divide → the two sizes, in words."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

from gptrace.wording import nearest_divisors


def indivisible_hint(error: BaseException, settings: Mapping[str, Any]) -> str:
    """Return which size does not divide which, where a line such as `assert a % b == 0` raised an exception.

    A size has the name of the one key of `settings` that has its value; else that of the user's code. Returns
    "" for other exceptions.
    """
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return ""
    variables = traceback.tb_frame.f_locals
    with suppress(Exception):  # attributes run the user's code
        for remainder in _refused_remainders(traceback):
            name, size = _named_size(remainder.left, variables)
            other, divisor = _named_size(remainder.right, variables)
            if size % divisor:
                name, other = _key(name, size, settings), _key(other, divisor, settings)
                possible = nearest_divisors(size, divisor)
                return f"{name} {size} is not divisible by {other} {divisor}; {other} could be {possible}"
    return ""


def _refused_remainders(traceback: TracebackType) -> Iterator[ast.BinOp]:
    """Yield each `a % b` in the condition of the assert that raised, or of the if around the raise."""
    lines = linecache.getlines(traceback.tb_frame.f_code.co_filename)
    for node in ast.walk(ast.parse("".join(lines))):
        if not isinstance(node, ast.Assert | ast.If):
            continue
        parts = [node] if isinstance(node, ast.Assert) else node.body
        if any(part.lineno <= traceback.tb_lineno <= (part.end_lineno or 0) for part in parts):
            yield from (
                part for part in ast.walk(node.test)
                if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mod)
            )  # fmt: skip


def _named_size(node: ast.expr, variables: Mapping[str, Any]) -> tuple[str, int]:
    """Return the last name and the value of a variable, an attribute or an item; raise for anything else."""
    if isinstance(node, ast.Attribute):
        owner = ast.unparse(node.value)
        name, value = node.attr, getattr(variables[owner], node.attr)
    elif isinstance(node, ast.Subscript):
        name = ast.literal_eval(node.slice)
        value = variables[ast.unparse(node.value)][name]
    else:
        name = ast.unparse(node)
        value = variables[name]
    if type(value) is not int or value < 1:
        raise TypeError("no size")
    return str(name), value


def _key(name: str, size: int, settings: Mapping[str, Any]) -> str:
    keys = [key for key, value in settings.items() if type(value) is int and value == size]
    return keys[0] if len(keys) == 1 and name not in keys else name
