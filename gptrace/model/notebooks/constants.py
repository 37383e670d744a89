"""Which statements of a notebook may run: those that define a name without work, by their syntax tree.

A statement is looked at before it runs, with the names that earlier ones have made: `d.update(x)` is safe
where `d` is a dict. Each function returns "" for what may run, and else says why it may not, as in "calls
train".
"""

from __future__ import annotations

import ast
import builtins
import collections
import dataclasses
import enum
import logging
import os
import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from gptrace.model.quiet_torch import torch

_BUILTINS = (
    "abs", "all", "any", "bool", "bytes", "complex", "dict", "divmod", "enumerate", "float",
    "frozenset", "getattr", "hasattr", "int", "isinstance", "issubclass", "len", "list", "map", "max",
    "min", "object", "pow", "range", "reversed", "round", "set", "slice", "sorted", "str", "sum",
    "tuple", "type", "zip",
)  # fmt: skip
_TENSORS = (
    "device", "finfo", "iinfo", "tensor", "arange", "zeros", "ones", "full", "eye", "linspace", "tril",
    "triu",
)  # fmt: skip
_SAFE: tuple[Any, ...] = (
    *(getattr(builtins, name) for name in _BUILTINS),
    *(getattr(torch, name) for name in _TENSORS),
    torch.cuda.is_available, torch.cuda.device_count, torch.backends.mps.is_available,
    os.getenv, os.getcwd, logging.getLogger, TypeVar, dict.fromkeys,
)  # fmt: skip
# Modules whose functions and classes only compute.
_SAFE_MODULES = (
    "argparse", "cmath", "collections", "copy", "dataclasses", "decimal", "enum", "fractions",
    "functools", "genericpath", "math", "ntpath", "operator", "pathlib", "posixpath", "re", "types",
    "typing", "typing_extensions",
)  # fmt: skip
_ARRAYS = ("array", "arange", "zeros", "ones", "full", "eye", "linspace", "tril", "triu")
_CONTAINERS = (
    dict, list, set, tuple, str, bytes, frozenset, int, float, collections.OrderedDict,
    collections.defaultdict, collections.Counter, collections.deque, type(os.environ),
)  # fmt: skip
# What the __init__ of a plain configuration class may call, beside methods of dicts.
_IN_INIT = (*_BUILTINS, "super", "setattr")
_METHODS_IN_INIT = ("__init__", "items", "keys", "values", "get", "update", "copy", "setdefault", "pop")
_LITERALS = (ast.Constant, ast.JoinedStr, ast.Dict, ast.List, ast.Set, ast.Tuple)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_KINDS: dict[type[ast.AST], str] = {
    ast.For: "is a loop", ast.AsyncFor: "is a loop", ast.While: "is a loop", ast.With: "is a with block",
    ast.AsyncWith: "is a with block", ast.Await: "waits for something", ast.Delete: "deletes something",
}  # fmt: skip


class Judge:
    """Says of a statement whether it only defines constants.

    namespace  the names that the notebook has made so far
    records    the classes of the notebook that only keep what they are called with
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.namespace = namespace
        self.records: list[Any] = []

    def statement(self, node: ast.stmt) -> str:
        """Say why a statement may not run; "" where it may."""
        match node:
            case (
                ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef()
            ):
                return ""
            case ast.Assign(targets=targets, value=value):
                return self._first((*targets, value))
            case ast.AugAssign(target=target, value=value):
                return self._first((target, value))
            case ast.AnnAssign(target=target, value=assigned):
                return self._first((target, *([] if assigned is None else [assigned])))
            case ast.Expr(value=ast.Call() as value):
                return self.expression(value)
            case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final):
                in_handlers = [line for handler in handlers for line in handler.body]
                return self._each((*body, *in_handlers, *orelse, *final))
            case ast.If(test=test, body=body, orelse=orelse):
                return self.expression(test) or self._each((*body, *orelse))
            case ast.Pass() | ast.Expr():
                return ""
        if type(node).__name__ == "TypeAlias":  # since Python 3.12
            return ""
        return _KINDS.get(type(node), "is neither an import nor a definition nor a constant")

    def _each(self, nodes: Iterable[ast.stmt]) -> str:
        return next((why for node in nodes if (why := self.statement(node))), "")

    def _first(self, nodes: Iterable[ast.AST]) -> str:
        return next((why for node in nodes if (why := self.expression(node))), "")

    def expression(self, node: ast.AST) -> str:
        """Say why an expression, or a part of one, may not be evaluated; "" where it may."""
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Lambda):  # its body does not run
            return self._first(node.args.defaults)
        if isinstance(node, (ast.Await, ast.Yield, ast.YieldFrom)):
            return _KINDS[ast.Await]
        return self._first(ast.iter_child_nodes(node))

    def _call(self, node: ast.Call) -> str:
        function = node.func
        if isinstance(function, ast.Attribute) and isinstance(function.value, _LITERALS):
            objection = self.expression(function.value)
        else:
            objection = "" if self._is_safe(function) else f"calls {_short(function)}"
        return objection or self._first((*node.args, *(keyword.value for keyword in node.keywords)))

    def _is_safe(self, function: ast.expr) -> bool:
        """Tell whether a call of what an expression names only computes a value."""
        if any(isinstance(part, (ast.Call, *_COMPREHENSIONS)) for part in ast.walk(function)):
            return False
        try:
            called = eval(compile(ast.Expression(function), "<notebook>", "eval"), self.namespace)
        except Exception:  # a name that is not there, or whatever an attribute of the user's raises
            return False
        owner = getattr(called, "__self__", None)
        if type(owner) in _CONTAINERS or any(called is safe for safe in (*_SAFE, *self.records)):
            return True
        if isinstance(called, type) and _is_record(called):
            return True
        numpy = sys.modules.get("numpy")
        if numpy is not None and any(called is getattr(numpy, name, None) for name in _ARRAYS):
            return True
        is_method = owner is not None and not isinstance(owner, type(sys))
        return not is_method and getattr(called, "__module__", None) in _SAFE_MODULES

    def note_class(self, node: ast.ClassDef, defined: object) -> None:
        """Remember a class whose construction only sets attributes, as that of a configuration."""
        if isinstance(defined, type) and all(
            base is object or base in self.records for base in defined.__bases__
        ) and _only_keeps(node):  # fmt: skip
            self.records.append(defined)


def _is_record(called: type) -> bool:
    return dataclasses.is_dataclass(called) or issubclass(called, (enum.Enum, dict, tuple))


def _only_keeps(node: ast.ClassDef) -> bool:
    """Tell whether the construction of a class runs nothing but assignments."""
    if node.decorator_list:
        return False
    special = ("__init__", "__new__", "__post_init__", "__init_subclass__", "__setattr__")
    functions = [each for each in node.body if isinstance(each, ast.FunctionDef) and each.name in special]
    nodes = [part for function in functions for line in function.body for part in ast.walk(line)]
    refused = (ast.While, ast.With, ast.Import, ast.ImportFrom, ast.Await)
    calls = (part.func for part in nodes if isinstance(part, ast.Call))
    return not any(isinstance(part, refused) for part in nodes) and all(
        (isinstance(called, ast.Name) and called.id in _IN_INIT)
        or (isinstance(called, ast.Attribute) and called.attr in _METHODS_IN_INIT)
        for called in calls
    )


def _short(node: ast.expr) -> str:
    """Return the source of a name, cut where it is long."""
    text = ast.unparse(node)
    return text if len(text) <= 60 else f"{text[:50]}…"


def bound_names(node: ast.AST) -> list[str]:
    """Return the names that a statement would define, wherever in it.

    >>> bound_names(ast.parse("for i in x:\\n    a, b = i"))
    ['i', 'a', 'b']
    """
    names: list[str] = []
    waiting: list[ast.AST] = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            names.append(part.id)
        elif isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(part.name)
            continue  # what stands in it is no name of the notebook
        elif isinstance(part, ast.alias) and part.name != "*":
            names.append(part.asname or part.name.partition(".")[0])
        elif isinstance(part, (ast.Lambda, *_COMPREHENSIONS)):
            continue
        waiting += reversed(list(ast.iter_child_nodes(part)))
    return names
