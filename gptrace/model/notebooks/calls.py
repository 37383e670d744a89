"""Which calls in a notebook may be evaluated: those that only compute a value, as far as their code shows.

A call is looked at before it runs, with the names that earlier statements have made: `d.update(x)` is safe
where `d` is a dict, and `find()` where `find` is a function of the notebook that only computes. Each method
that returns a text returns "" for what may run, and else says why it may not, as in "calls train".
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection, Iterable
from types import CodeType, FunctionType, MethodType
from typing import Any

from gptrace.model.notebooks import harmless
from gptrace.model.notebooks.names import stored_names

_LITERALS = (ast.Constant, ast.JoinedStr, ast.Dict, ast.List, ast.Set, ast.Tuple)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_CALLING_FIRST = ("map", "reduce")
KINDS: dict[type[ast.AST], str] = {
    ast.For: "is a loop", ast.AsyncFor: "is a loop", ast.While: "is a loop", ast.With: "is a with block",
    ast.AsyncWith: "is a with block", ast.Await: "waits for something", ast.Delete: "deletes something",
}  # fmt: skip
UNKNOWN = object()
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class CallJudge:
    """Says of an expression, or of what a definition evaluates, whether it only computes a value.

    namespace  the names that the notebook has made so far
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.namespace = namespace
        self._functions: dict[tuple[str, int, str], list[FunctionNode]] = {}
        self._files: set[str] = set()
        self._judged: list[CodeType] = []  # functions that are being judged: one that calls itself is refused

    def read(self, tree: ast.AST, file: str) -> None:
        """Learn the functions of a cell before its statements are judged."""
        self._files.add(file)
        for node in ast.walk(tree):
            if isinstance(node, _FUNCTIONS):
                lines = [node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))]
                key = (file, min(lines), getattr(node, "name", "<lambda>"))
                self._functions.setdefault(key, []).append(node)

    def expression(self, node: ast.AST, local: Collection[str] = ()) -> str:
        """Say why an expression, or a part of one, may not be evaluated."""
        return self._part(node, {*local, *stored_names(node)})

    def _first(self, nodes: Iterable[ast.AST], local: Collection[str]) -> str:
        return next((why for node in nodes if (why := self.expression(node, local))), "")

    def _part(self, node: ast.AST, local: Collection[str]) -> str:
        if isinstance(node, ast.Call):
            return self._call(node, local)
        if isinstance(node, ast.Lambda):  # its body does not run
            parts: Iterable[ast.AST] = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
        elif isinstance(node, ast.Await | ast.Yield | ast.YieldFrom):
            return KINDS[ast.Await]
        else:
            parts = ast.iter_child_nodes(node)
        return next((why for part in parts if (why := self._part(part, local))), "")

    def _call(self, node: ast.Call, local: Collection[str]) -> str:
        function = node.func
        objection = calls(short(function))
        if isinstance(function, ast.Attribute) and isinstance(function.value, _LITERALS):
            if why := self._part(function.value, local):
                return why
            keeps = function.attr != "sort"
        else:
            called = self._value(function, local)
            if not self._is_safe(called):
                return objection
            keeps = harmless.keeps_functions(called) or (isinstance(called, type) and self._is_own(called))
        values = [*node.args, *(keyword.value for keyword in node.keywords)]
        for value in values:
            if why := self._part(value, local):
                return why
        return "" if keeps or not self._passes_functions(node, values, local) else objection

    def _passes_functions(self, node: ast.Call, values: Iterable[ast.expr], local: Collection[str]) -> bool:
        """Tell whether a call is given a function, and what this does is not known to be safe."""
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        called = [each.value for each in node.keywords if each.arg == "key"]
        called += node.args[:1] if name in _CALLING_FIRST else []
        if any(isinstance(each, ast.Name) and each.id in local for each in called):
            return True
        for part in (part for value in values for part in ast.walk(value)):
            if isinstance(part, ast.Lambda):
                if self._part(part.body, local):
                    return True
            elif isinstance(part, ast.Name | ast.Attribute | ast.Subscript):
                value = self._value(part, local)
                if value is not UNKNOWN and callable(value) and not self._is_safe(value):
                    return True
            elif isinstance(part, ast.Starred):
                items = self._value(part.value, local)
                if isinstance(items, list | tuple | set | dict) and any(map(callable, items)):
                    return True
        return False

    def _value(self, node: ast.AST, local: Collection[str]) -> Any:
        """Return what a name, or an attribute or an item of one, stands for."""
        for part in ast.walk(node):
            if isinstance(part, ast.Call | ast.Lambda | ast.NamedExpr | ast.Await) or (
                isinstance(part, _COMPREHENSIONS) or (isinstance(part, ast.Name) and part.id in local)
            ):
                return UNKNOWN
        if not isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
            return UNKNOWN
        expression = ast.parse(ast.unparse(node), mode="eval")
        try:
            return eval(compile(expression, "<notebook>", "eval"), self.namespace)
        except Exception:  # a name that is not there, or whatever an attribute of the user's raises
            return UNKNOWN

    def _is_safe(self, called: Any) -> bool:
        """Tell whether a call of an object only computes a value."""
        if called is UNKNOWN:
            return False
        if isinstance(called, functools.partial):
            given = [*called.args, *called.keywords.values()]
            return all(self._is_safe(each) for each in (called.func, *filter(callable, given)))
        if isinstance(called, MethodType) and isinstance(called.__func__, FunctionType):
            if self._is_of_a_cell(called.__func__):
                return self._runs_safely(called.__func__, type(called.__self__))
        elif isinstance(called, FunctionType) and self._is_of_a_cell(called):
            return self._runs_safely(called, None)
        if self._is_own(called):
            return isinstance(called, type) and self._is_record(called)
        return harmless.only_computes(called)

    def _is_own(self, value: Any) -> bool:
        return getattr(value, "__module__", None) == self.namespace.get("__name__")

    def _is_of_a_cell(self, function: FunctionType) -> bool:
        return function.__code__.co_filename in self._files

    def _is_record(self, kind: type) -> bool:
        """Tell whether to construct and to use an object of a class runs nothing but safe code."""
        raise NotImplementedError

    def _runs_safely(self, function: Any, owner: type | None) -> bool:
        """Tell whether a function does nothing but compute; `owner` is the class of its first argument."""
        raise NotImplementedError


def calls(name: str) -> str:
    """Say why something may not run: it calls what has this name."""
    return f"calls {name}"


def is_special(name: str) -> bool:
    """Tell whether Python calls a method of this name by itself, such as `__init__` or `_missing_`."""
    return name.startswith("_") and name.endswith("_")


def short(node: ast.expr) -> str:
    """Return the source of a name, cut where it is long."""
    text = ast.unparse(node)
    return text if len(text) <= 60 else f"{text[:50]}…"
