"""An assertion of user code that failed → the values of the names in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import FrameType
from typing import Any

from gptrace.model.raising_statements import innermost, raising_statement
from gptrace.wording import nearest_divisors, quoted_value

_NAMES_SHOWN = 4
_SCOPES = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)
_LARGEST = 1_000_000_000  # of the numbers whose divisors are worth a clause


def assertion_hint(error: BaseException) -> str:
    """Return the values of the names in the assertion that raised an error; "" where they are not known."""
    traceback = innermost(error)
    found = None if traceback is None else raising_statement(traceback)
    if traceback is None or found is None or not isinstance(found[0], ast.Assert):
        return ""
    condition = found[0].test
    values = dict(_values_in(condition, traceback.tb_frame))
    facts = [f"{name} = {quoted_value(value)}" for name, value in values.items()][:_NAMES_SHOWN]
    return f"the assertion failed with {', '.join(facts)}{_divisors(condition, values)}" if facts else ""


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
    """Return what a name, an attribute or a key stands for; raise where that would run other code."""
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


def _divisors(condition: ast.expr, values: Mapping[str, object]) -> str:
    """Name the divisors of a number that has to be a multiple of another one, and is none."""
    match condition:
        case ast.Compare(
            left=ast.BinOp(left=whole, op=ast.Mod(), right=part), ops=[ast.Eq()],
            comparators=[ast.Constant(value=0)],
        ):  # fmt: skip
            number, divisor = values.get(ast.unparse(whole)), values.get(ast.unparse(part))
            is_whole = type(number) is int and type(divisor) is int
            if is_whole and divisor and 0 < number <= _LARGEST and number % divisor:  # type: ignore[operator]
                near = nearest_divisors(number, divisor)  # type: ignore[arg-type]
                return f"; {number} is a multiple of {near}, for example"
    return ""
