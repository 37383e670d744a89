"""A condition of user code that raised, in an assert or in the if around a raise → the values in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

from gptrace.model.raising_statements import innermost, raising_statement
from gptrace.wording import nearest_divisors, quoted_value

_NAMES_SHOWN = 4
_SCOPES = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)


def assertion_hint(error: BaseException) -> str:
    """Return the values of the names in the assertion that raised an error; "" where they are not known."""
    traceback = innermost(error)
    found = None if traceback is None else raising_statement(traceback)
    if traceback is None or found is None or not isinstance(found[0], ast.Assert):
        return ""
    values = dict(_values_in(found[0].test, traceback.tb_frame))
    facts = [f"{name} = {quoted_value(value)}" for name, value in values.items()][:_NAMES_SHOWN]
    return f"the assertion failed with {', '.join(facts)}" if facts else ""


def indivisible_hint(error: BaseException, settings: Mapping[str, Any]) -> str:
    """Return which size does not divide which, where a line such as `assert a % b == 0` raised an exception.

    A size has the name of the one key of `settings` that has its value; else that of the user's code. Returns
    "" for other exceptions.
    """
    traceback = innermost(error)
    if traceback is None:
        return ""
    for remainder in _refused_remainders(traceback):
        with suppress(Exception):  # a name that is not bound, or a property that raises
            name, size = _named_size(remainder.left, traceback.tb_frame)
            other, divisor = _named_size(remainder.right, traceback.tb_frame)
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
    elif isinstance(parent, ast.If) and statement in parent.body:
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


def _named_size(node: ast.expr, frame: FrameType) -> tuple[str, int]:
    """Return the last name and the value of a variable, an attribute or an item; raise for anything else."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=name)):
            value = _value(node, frame)
            if type(value) is int and value > 0:
                return str(name), value
    raise LookupError


def _key(name: str, size: int, settings: Mapping[str, Any]) -> str:
    keys = [key for key, value in settings.items() if type(value) is int and value == size]
    return keys[0] if len(keys) == 1 and name not in keys else name


def _values_in(condition: ast.expr, frame: FrameType) -> Iterator[tuple[str, int | float | str | None]]:
    """Yield the names, attributes and keys in a condition whose values are numbers or texts.

    A comprehension has names of its own, which the frame does not know.
    """
    waiting: list[ast.AST] = [condition]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
            with suppress(Exception):  # a name that is not bound, or a property that raises
                value = _value(node, frame)
                if value is None or isinstance(value, int | float | str):
                    yield ast.unparse(node), value
                    continue
        if not isinstance(node, _SCOPES):
            waiting.extend(ast.iter_child_nodes(node))


def _value(node: ast.expr, frame: FrameType) -> object:
    """Return the value of a name, of an attribute, or of a key of a mapping or list; raise for others."""
    match node:
        case ast.Name(id=name):
            return frame.f_locals[name] if name in frame.f_locals else frame.f_globals[name]
        case ast.Attribute(value=owner, attr=name):
            return getattr(_value(owner, frame), name)
        case ast.Subscript(value=owner, slice=ast.Constant(value=key)):
            container: Any = _value(owner, frame)
            if issubclass(type(container), Mapping | list | tuple):
                return container[key]
    raise LookupError
