"""An exception that refuses a size which another one does not divide → the two sizes, in words."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

from gptrace.model.raising_statements import innermost, raising_statement
from gptrace.wording import nearest_divisors


def indivisible_hint(error: BaseException, settings: Mapping[str, Any]) -> str:
    """Return which size does not divide which, where a line such as `assert a % b == 0` raised an exception.

    A size has the name of the one key of `settings` that has its value; else that of the user's code. Returns
    "" for other exceptions.
    """
    traceback = innermost(error)
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
    """Yield each `a % b` that has to be 0, by the assert that raised or the if whose own raise it was."""
    found = raising_statement(traceback)
    if found is None:
        return
    statement, parent = found
    if isinstance(statement, ast.Assert):
        yield from _zeros(statement.test, holds=True)
    elif isinstance(statement, ast.Raise) and isinstance(parent, ast.If) and statement in parent.body:
        yield from _zeros(parent.test, holds=False)


def _zeros(condition: ast.expr, *, holds: bool) -> Iterator[ast.BinOp]:
    """Yield each `a % b` that is 0 where a condition holds, or where it does not."""
    match condition:
        case ast.BinOp(op=ast.Mod()) if not holds:
            yield condition
        case ast.Compare(left=ast.BinOp(op=ast.Mod()) as remainder, comparators=[ast.Constant(value=0)]):
            if isinstance(condition.ops[0], ast.Eq if holds else ast.NotEq | ast.Gt):
                yield remainder
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield from _zeros(operand, holds=not holds)
        case ast.BoolOp(values=parts):
            for part in parts:
                yield from _zeros(part, holds=holds)


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
