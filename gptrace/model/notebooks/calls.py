"""Which calls in a notebook may be evaluated: those that only compute a value, as far as their code shows.

A call is looked at before it runs, with the names that earlier statements have made: `d.update(x)` is safe
where `d` is a dict, and `find()` where `find` is a function of the notebook that only computes. Each method
that returns a text returns "" for what may run, and else says why it may not, as in "calls train".
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Collection, Iterable
from types import CodeType, FunctionType, MethodType
from typing import Any, TypeGuard

from gptrace.model.notebooks import harmless
from gptrace.model.notebooks.names import stored_names

_LITERALS = (ast.Constant, ast.JoinedStr, ast.Dict, ast.List, ast.Set, ast.Tuple)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
# Methods of texts, dicts and lists that return one, too.
_MAKING = (
    "copy", "items", "keys", "values", "split", "splitlines", "strip", "lstrip", "rstrip", "lower", "upper",
    "title", "replace", "format", "join", "zfill", "encode", "decode", "union", "intersection", "difference",
)  # fmt: skip
# Python calls these methods of a class without an object of it.
CLASS_HOOKS = ("__class_getitem__", "__init_subclass__", "__subclasshook__", "__class__")
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
        # Local names of the last of these that are dicts, texts or the like.
        self._containers: set[str] = set()
        # Attributes of whatever object: what they are set to, None for what is not known.
        self._has_subclass_hook = False  # a class in a cell defines `__init_subclass__`
        self._stored: dict[str, list[ast.expr | None]] = {}

    def read(self, tree: ast.AST, file: str) -> None:
        """Learn the functions of a cell before its statements are judged."""
        self._files.add(file)
        assigned = {
            id(target): node.value
            for node in ast.walk(tree) if isinstance(node, ast.Assign) for target in node.targets
        }  # fmt: skip
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
                self._stored.setdefault(node.attr, []).append(assigned.get(id(node)))
            if isinstance(node, _FUNCTIONS):
                self._has_subclass_hook |= getattr(node, "name", "") == "__init_subclass__"
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
        if is_set_hook(node):
            return calls(short(node))
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
        called: Any = UNKNOWN
        if self._is_method_of_container(function, local):
            if why := self._part(function.value, local):
                return why
            keeps = function.attr != "sort"
        else:
            called = self._value(function, local)
            if not self._is_safe(called, node, local):
                return objection
            keeps = harmless.keeps_functions(called) or (isinstance(called, type) and self._is_own(called))
        values = [*node.args, *(keyword.value for keyword in node.keywords)]
        for value in values:
            if why := self._part(value, local):
                return why
        return "" if keeps or not self._passes_functions(called, node, values, local) else objection

    def _is_method_of_container(self, function: ast.expr, local: Collection[str]) -> TypeGuard[ast.Attribute]:
        if not isinstance(function, ast.Attribute) or is_special(function.attr):
            return False
        return self._is_container(function.value, local)

    def _is_container(self, node: ast.expr | None, local: Collection[str]) -> bool:
        """Tell whether an expression is a text, a dict, a list or the like, as far as the code shows."""
        if isinstance(node, (*_LITERALS, *_COMPREHENSIONS)):
            return True
        if isinstance(node, ast.Name) and node.id in local:
            return node.id in self._containers
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                return node.func.attr in _MAKING and self._is_container(node.func.value, local)
            return any(self._value(node.func, local) is kind for kind in harmless.CONTAINERS)
        return type(self._value(node, local)) in harmless.CONTAINERS

    def _passes_functions(
        self, called: Any, node: ast.Call, values: Iterable[ast.expr], local: Collection[str]
    ) -> bool:
        """Tell whether a call is given a function, and what this does is not known to be safe.

        Where a library's function calls what it is given, this has to be a plain name or a lambda.
        """
        if not (isinstance(called, FunctionType) and self._is_of_a_cell(called)):
            place = harmless.place_of_function(called)
            if place is not None and any(isinstance(each, ast.Starred) for each in node.args):
                return True
            at_place = [] if place is None else node.args[place : place + 1]
            for keyword in node.keywords:
                if keyword.arg is None and not _is_plain_dict(keyword.value):
                    return True
                if keyword.arg in harmless.KEYWORDS_OF_FUNCTIONS:
                    at_place.append(keyword.value)
            if not all(self._is_plain_name(each, local) for each in at_place):
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

    def _is_plain_name(self, node: ast.expr, local: Collection[str]) -> bool:
        if isinstance(node, ast.Name | ast.Attribute):
            return self._value(node, local) is not UNKNOWN
        return isinstance(node, ast.Constant | ast.JoinedStr | ast.Lambda)

    def _value(self, node: ast.AST | None, local: Collection[str]) -> Any:
        """Return what a name, or an attribute or an item of one, stands for."""
        if not isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
            return UNKNOWN
        for part in ast.walk(node):
            if isinstance(part, ast.Call | ast.Lambda | ast.NamedExpr | ast.Await) or (
                isinstance(part, _COMPREHENSIONS) or (isinstance(part, ast.Name) and part.id in local)
            ):
                return UNKNOWN
        expression = ast.parse(ast.unparse(node), mode="eval")
        try:
            return eval(compile(expression, "<notebook>", "eval"), self.namespace)
        except Exception:  # a name that is not there, or whatever an attribute of the user's raises
            return UNKNOWN

    def _is_safe(self, called: Any, node: ast.Call | None = None, local: Collection[str] = ()) -> bool:
        """Tell whether a call of an object only computes a value; `node` is the call, where there is one."""
        if called is UNKNOWN:
            return False
        if isinstance(called, functools.partial):
            given = [*called.args, *called.keywords.values()]
            return all(self._is_safe(each) for each in (called.func, *filter(callable, given)))
        if isinstance(called, MethodType) and isinstance(called.__func__, FunctionType):
            if self._is_of_a_cell(called.__func__):
                given_names = self._given(called, node, local)
                return self._runs_safely(called.__func__, type(called.__self__), given_names)
        elif isinstance(called, FunctionType) and self._is_of_a_cell(called):
            return self._runs_safely(called, None, self._given(called, node, local))
        is_of_types = isinstance(called, type) and issubclass(called, type)
        if is_of_types and node is not None and not _has_one_argument(node):  # it makes a class
            return False
        if self._is_own(called):
            if not isinstance(called, type):
                return False
            own = vars(called).get("__init__")
            given_names = (
                self._given(own, node, local, of_object=True) if isinstance(own, FunctionType) else ()
            )
            return self._is_record(called, given_names)
        return harmless.only_computes(called)

    def _given(
        self, function: Any, node: ast.Call | None, local: Collection[str], *, of_object: bool = False
    ) -> tuple[str, ...]:
        """Return the parameters that are texts, dicts, lists or the like in a call of a function."""
        if node is None or any(isinstance(each, ast.Starred) for each in node.args):
            return ()
        arguments: list[Any] = [None, *node.args] if of_object else node.args
        keywords: dict[Any, ast.expr] = {each.arg: each.value for each in node.keywords}
        try:
            signature = inspect.signature(function, follow_wrapped=False)
            bound = signature.bind(*arguments, **keywords)
        except (TypeError, ValueError):  # the arguments do not fit, or there is `**`
            return ()
        given = [name for name, value in bound.arguments.items() if self._is_container(value, local)]
        left = [each for each in signature.parameters.values() if each.name not in bound.arguments]
        return (*given, *(each.name for each in left if type(each.default) in harmless.CONTAINERS))

    def _is_own(self, value: Any) -> bool:
        return getattr(value, "__module__", None) == self.namespace.get("__name__")

    def _is_of_a_cell(self, function: FunctionType) -> bool:
        return function.__code__.co_filename in self._files

    def _is_record(self, kind: type, given: Collection[str] = ()) -> bool:
        """Tell whether to construct and to use an object of a class runs nothing but safe code.

        given  parameters of `__init__` that are texts, dicts, lists or the like
        """
        raise NotImplementedError

    def _runs_safely(self, function: Any, owner: type | None, given: Collection[str] = ()) -> bool:
        """Tell whether a function does nothing but compute.

        owner  the class of its first argument
        given  parameters that are texts, dicts, lists or the like
        """
        raise NotImplementedError


def calls(name: str) -> str:
    """Say why something may not run: it calls what has this name."""
    return f"calls {name}"


def is_special(name: str) -> bool:
    """Tell whether Python calls a method of this name by itself, such as `__init__` or `_missing_`."""
    return name.startswith("_") and name.endswith("_")


def is_set_hook(node: ast.AST) -> TypeGuard[ast.Attribute]:
    """Tell whether a part of a statement sets a method that Python calls on a class, as `A.__class__ = …`."""
    return isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in CLASS_HOOKS


def _has_one_argument(node: ast.Call) -> bool:
    return len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred)


def _is_plain_dict(node: ast.expr) -> bool:
    return isinstance(node, ast.Dict) and all(
        isinstance(each, ast.Constant) for each in (*node.keys, *node.values)
    )


def short(node: ast.expr) -> str:
    """Return the source of a name, cut where it is long."""
    text = ast.unparse(node)
    return text if len(text) <= 60 else f"{text[:50]}…"
