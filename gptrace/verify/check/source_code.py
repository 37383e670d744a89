"""Lines of the source of a model: their text, and where a class defines an attribute."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from functools import lru_cache
from typing import Any

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.recording import Place

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
