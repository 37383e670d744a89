"""Lines of the source of a model: their text, and where a class defines an attribute."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from functools import lru_cache
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
    if owner_class.__module__.partition(".")[0] in ("torch", "builtins"):
        return Place()
    try:
        lines, first = inspect.getsourcelines(owner_class)
        file = inspect.getsourcefile(owner_class) or ""
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return Place()
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for node in ast.walk(function):
            if _defines(node, attribute):
                line = first + getattr(node, "lineno", 1) - 1
                return Place(file, line, f"{owner_class.__qualname__}.{function.name}")
    return Place()


def writer_of_state(place: Place) -> Place:
    """Return the line that changes an attribute of `self` which the line at `place` reads; else no place.

    It is looked for in the function of that line alone.
    """
    function = _function_at(place)
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
    function = _function_at(place)
    loops = [] if function is None else [
        node for node in ast.walk(function)
        if isinstance(node, ast.For) and node.lineno <= place.line <= (node.end_lineno or 0)
        and not isinstance(node.iter, ast.Name | ast.Attribute)
    ]  # fmt: skip
    return place._replace(line=max(loop.lineno for loop in loops)) if loops else Place()


def last_return(place: Place) -> Place:
    """Return the line of the last return of the function at a place, or the place itself."""
    function = _function_at(place)
    if function is None:
        return place
    lines = [node.lineno for node in ast.walk(function) if isinstance(node, ast.Return)]
    return place._replace(line=max(lines)) if lines else place


def _function_at(place: Place) -> ast.FunctionDef | None:
    """Return the innermost function whose lines contain a place."""
    try:
        tree = ast.parse("".join(linecache.getlines(place.file)))
    except (SyntaxError, ValueError):
        return None
    around = [
        node for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and place.line <= (node.end_lineno or 0)
        and min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) <= place.line
    ]  # fmt: skip
    return max(around, key=lambda node: node.lineno, default=None)


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
