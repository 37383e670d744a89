"""Lines of the source of a model: their text, and where a class defines an attribute."""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType
from typing import Any

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.places import Place

Module = torch.nn.Module


def text_of(place: Place) -> str:
    """Return the source text of a line, or ""."""
    return linecache.getline(place.file, place.line).strip() if place.file else ""


def definition_of(module: Module, name: str) -> Place:
    """Return the line of a module's class that defines a parameter, buffer or attribute of it.

    `name` is its path, as in "trf_blocks.0.att.mask". The place is empty where no line is found.
    """
    path, _, attribute = name.rpartition(".")
    try:
        owner: Any = module.get_submodule(path)
    except AttributeError:
        return Place()
    for owner_class in type(owner).__mro__:
        place = _definition_in(owner_class, attribute)
        if place.file:
            return place
    return Place()


@lru_cache(maxsize=256)
def _definition_in(owner_class: type, attribute: str) -> Place:
    """Look through the methods of a class; `inspect` does not find the class itself in a notebook."""
    if owner_class.__module__.partition(".")[0] in ("torch", "builtins"):
        return Place()
    for code in _codes_of(owner_class):
        function = _function_of(code)
        for node in ast.walk(function) if function is not None else ():
            if _defines(node, attribute):
                name = f"{owner_class.__qualname__}.{code.co_name}"
                return Place(code.co_filename, getattr(node, "lineno", 1), name)
    return Place()


def _codes_of(owner_class: type) -> Iterator[CodeType]:
    """Yield the code of the functions that a class defines, in their order."""
    for value in vars(owner_class).values():
        function = getattr(value, "fget", None) or getattr(value, "__func__", value)
        code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
        if isinstance(code, CodeType):
            yield code


def _function_of(code: CodeType) -> ast.FunctionDef | None:
    """Return the syntax tree of a function; None where its file has changed or is not known."""
    for node in ast.walk(_tree_of(code.co_filename)):
        if isinstance(node, ast.FunctionDef) and (node.name, _first_line(node)) == (
            code.co_name, code.co_firstlineno
        ):  # fmt: skip
            return node
    return None


def writer_of_state(place: Place) -> Place:
    """Return the line that changes an attribute of `self` which the line at `place` reads; else no place.

    It is looked for in the function of that line alone.
    """
    function = function_at(place)
    if function is None:
        return Place()
    read = {
        node.attr for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and node.lineno == place.line and _is_self(node.value)
    }  # fmt: skip
    for node in ast.walk(function):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        is_writing = isinstance(node, ast.Assign | ast.AugAssign) and any(
            isinstance(target, ast.Attribute) and target.attr in read and _is_self(target.value)
            for target in targets
        )
        if is_writing:
            return place._replace(line=getattr(node, "lineno", place.line))
    return Place()


def loop_around(place: Place) -> Place:
    """Return the line of the innermost loop around a line that runs over a part of a list; else no place."""
    function = function_at(place)
    loops = [] if function is None else [
        node for node in ast.walk(function)
        if isinstance(node, ast.For) and node.lineno <= place.line <= (node.end_lineno or 0)
        and not isinstance(node.iter, ast.Name | ast.Attribute)
    ]  # fmt: skip
    return place._replace(line=max(loop.lineno for loop in loops)) if loops else Place()


def is_refusal(place: Place) -> bool:
    """Tell whether the line of a place is part of an assert or a raise, and so refuses on purpose."""
    return any(
        isinstance(node, ast.Assert | ast.Raise) and node.lineno <= place.line <= (node.end_lineno or 0)
        for node in ast.walk(_tree_of(place.file))
    )


def last_return(place: Place) -> Place:
    """Return the line of the last return of the function at a place, or the place itself."""
    function = function_at(place)
    if function is None:
        return place
    lines = [node.lineno for node in ast.walk(function) if isinstance(node, ast.Return)]
    return place._replace(line=max(lines)) if lines else place


def function_at(place: Place) -> ast.FunctionDef | None:
    """Return the innermost function whose lines contain a place."""
    around = [
        node for node in ast.walk(_tree_of(place.file))
        if isinstance(node, ast.FunctionDef) and _first_line(node) <= place.line <= (node.end_lineno or 0)
    ]  # fmt: skip
    return max(around, key=lambda node: node.lineno, default=None)


def _tree_of(file: str) -> ast.Module:
    """Return the syntax tree of a file; an empty one where it cannot be read."""
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError, RecursionError):
        return ast.Module([], [])


def _first_line(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _defines(node: ast.AST, attribute: str) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        is_registering = node.func.attr in ("register_buffer", "register_parameter", "add_module")
        first = node.args[0] if node.args else None
        return is_registering and isinstance(first, ast.Constant) and first.value == attribute
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [name for target in targets for name in ast.walk(target)]
        return any(
            isinstance(name, ast.Attribute) and name.attr == attribute and isinstance(name.value, ast.Name)
            for name in names
        )
    return False
