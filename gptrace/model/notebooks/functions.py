"""Which functions and classes of a notebook may be used while it is loaded: those that only compute."""

from __future__ import annotations

import ast
import builtins
import functools
from collections.abc import Collection
from types import CodeType, FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any

from gptrace.model.notebooks import harmless
from gptrace.model.notebooks.calls import (
    UNKNOWN,
    CallJudge,
    FunctionNode,
    calls,
    is_set_hook,
    is_special,
    short,
)
from gptrace.model.notebooks.names import bound_values, names_in_function

# What functions of the notebook may call, too.
_IN_FUNCTIONS = ("super", "setattr", "print")
_PLAIN_DESCRIPTORS = (GetSetDescriptorType, MemberDescriptorType)
_SETTING_BY_NAME = ("setattr", "__setattr__", "__dict__", "vars")
_REFUSED_IN_FUNCTIONS = (
    ast.While, ast.With, ast.AsyncWith, ast.AsyncFor, ast.Import, ast.ImportFrom, ast.Await, ast.ClassDef,
    ast.Match,
)  # fmt: skip


class FunctionJudge(CallJudge):
    """Says of functions and classes of the notebook, and of what their definitions evaluate, what may run."""

    def _is_record(self, kind: type, given: Collection[str] = ()) -> bool:
        if self._is_own(type(kind)) and type(kind) is not kind and not self._is_record(type(kind)):
            return False
        for each in kind.__mro__:
            if not self._is_own(each):
                if not harmless.is_plain_base(each):
                    return False
                continue
            for name, value in vars(each).items():
                if not is_special(name) and not isinstance(value, property | functools.cached_property):
                    continue
                known = given if name == "__init__" and each is kind else ()
                if not all(self._runs_safely(*method, known) for method in functions_of(value, kind)):
                    return False
        return True

    def _runs_safely(self, function: Any, owner: type | None, given: Collection[str] = ()) -> bool:
        if not isinstance(function, FunctionType) or not self._is_of_a_cell(function):
            is_descriptor = hasattr(function, "__get__") and not isinstance(function, _PLAIN_DESCRIPTORS)
            is_plain = not callable(function) and not is_descriptor
            return is_plain or harmless.is_plain_method(function, self.namespace) or self._is_safe(function)
        code = function.__code__
        nodes = self._nodes_of(function)
        if len(nodes) != 1 or code in self._judged:
            return False
        self._judged.append(code)
        try:
            return self._body(nodes[0], owner, given)
        finally:
            self._judged.pop()

    def _body(
        self, node: FunctionNode, owner: type | None, given: Collection[str] = (), *, and_inner: bool = False
    ) -> bool:
        """Tell whether the body of a function only computes; `and_inner` adds the functions in it."""
        outer = self._containers
        self._find_containers(node, given)
        try:
            return self._statements(node, owner, and_inner=and_inner)
        finally:
            self._containers = outer

    def _find_containers(self, node: FunctionNode, given: Collection[str]) -> None:
        """Find the local names of a function that are dicts, texts and the like wherever they are bound."""
        local, values = names_in_function(node), bound_values(node, given)
        self._containers = set(values)
        while wrong := {
            name for name in self._containers if not all(self._is_container(v, local) for v in values[name])
        }:  # another name may hold the value of a wrong one
            self._containers -= wrong

    def _statements(self, node: FunctionNode, owner: type | None, *, and_inner: bool) -> bool:
        local = names_in_function(node)
        waiting: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
        while waiting:
            part = waiting.pop()
            if isinstance(part, _REFUSED_IN_FUNCTIONS) or is_set_hook(part) or self._goes_on(part, local):
                return False
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                if self._function_definition(part, local) or (and_inner and not self._body(part, None)):
                    return False
                continue
            if isinstance(part, ast.Call) and not self._call_in_body(part, node, local, owner):
                return False
            if not isinstance(part, ast.Lambda):
                waiting += ast.iter_child_nodes(part)
        return True

    def _goes_on(self, part: ast.AST, local: Collection[str]) -> bool:
        """Tell whether a `try` lets a function go on that has run too many lines."""
        if isinstance(part, ast.Try | ast.TryStar):
            return bool(part.finalbody)
        if not isinstance(part, ast.ExceptHandler):
            return False
        kinds = part.type.elts if isinstance(part.type, ast.Tuple) else [part.type]
        values = [self._value(kind, local) for kind in kinds]
        return not all(isinstance(kind, type) and issubclass(kind, Exception) for kind in values)

    def _call_in_body(
        self, call: ast.Call, node: FunctionNode, local: Collection[str], owner: type | None
    ) -> bool:
        function = call.func
        first = _first_parameter(node) if owner is not None else ""
        if isinstance(function, ast.Name) and function.id in _IN_FUNCTIONS:
            is_of_self = bool(first) and bool(call.args) and _is_name(call.args[0], first)
            is_python = self._value(function, local) is getattr(builtins, function.id)
            return is_python and (function.id != "setattr" or is_of_self)
        if isinstance(function, ast.Attribute) and owner is not None and first:
            name, value = function.attr, function.value
            if _is_name(value, first):
                is_set = name in self._stored or _sets_by_name(owner) or issubclass(owner, type)
                return not is_set and self._method(owner, name)
            if isinstance(value, ast.Call) and _is_name(value.func, "super"):
                is_of_self = not value.args or _is_name(value.args[-1], first)
                return is_of_self and self._method(owner, name, self._bases_of_judged(owner))
            if is_special(name) and call.args and _is_name(call.args[0], first):  # Base.__init__(self)
                base = self._value(value, local)
                return base in owner.__mro__ and self._method(owner, name, base.__mro__)
            if self._is_own_container(value, first, owner) and not is_special(name):
                values = [*call.args, *(keyword.value for keyword in call.keywords)]
                return name != "sort" and not self._first(values, local)
        return not self._call(call, local)

    def _method(self, owner: type, name: str, kinds: Collection[type] = ()) -> bool:
        """Tell whether the method that objects of a class have from one of `kinds` only computes."""
        for kind in kinds or owner.__mro__:
            if name not in vars(kind):
                continue
            value = vars(kind)[name]
            if isinstance(value, property | functools.cached_property):
                return False
            if self._is_own(kind):
                return all(self._runs_safely(*method) for method in functions_of(value, owner))
            return harmless.is_plain_base(kind) and (is_special(name) or kind in harmless.CONTAINERS)
        return False

    def _bases_of_judged(self, owner: type) -> tuple[type, ...]:
        """Return the classes in which `super()` looks, in the method that is being judged."""
        for number, kind in enumerate(owner.__mro__):
            for value in vars(kind).values():
                codes = [getattr(each, "__code__", None) for each, _ in functions_of(value, kind)]
                if self._judged and self._judged[-1] in codes:
                    return owner.__mro__[number + 1 :]
        return (object,)

    def _is_own_container(self, node: ast.expr, first: str, owner: type) -> bool:
        """Tell whether `self.NAME` is a dict, a list or the like wherever it is set."""
        if not isinstance(node, ast.Attribute) or not _is_name(node.value, first):
            return False
        if node.attr == "__dict__":
            return True
        values = self._stored.get(node.attr, [])
        in_class = [vars(kind)[node.attr] for kind in owner.__mro__ if node.attr in vars(kind)]
        if _sets_by_name(owner) or not (values or in_class):
            return False
        outer, self._containers = self._containers, set()
        try:
            are_containers = all(self._is_container(value, ()) for value in values)
        finally:
            self._containers = outer
        return are_containers and all(type(value) in harmless.CONTAINERS for value in in_class)

    def _function_definition(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, local: Collection[str], *, in_class: bool = False
    ) -> str:
        given = node.args
        arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        annotations = [each.annotation for each in arguments if each is not None]
        parts = [*given.defaults, *given.kw_defaults, *annotations, node.returns]
        decorated = None if in_class else node
        return self._decorators(node, local, decorated) or self._first(filter(None, parts), local)

    def _decorators(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, local: Collection[str],
        decorated: ast.FunctionDef | ast.AsyncFunctionDef | None = None,
    ) -> str:  # fmt: skip
        whys = (self._decorator(each, local, decorated) for each in node.decorator_list)
        return next(filter(None, whys), "")

    def _decorator(
        self, node: ast.expr, local: Collection[str],
        decorated: ast.FunctionDef | ast.AsyncFunctionDef | None,
    ) -> str:  # fmt: skip
        """Say why a decorator may not be applied: it may run what it decorates, or something else.

        `decorated` is a function that a library which is not known could call: a method needs an object, and
        a class builds one.
        """
        function = node.func if isinstance(node, ast.Call) else node
        objection = calls(short(function))
        if isinstance(function, ast.Attribute) and function.attr in ("setter", "getter", "deleter"):
            return ""
        called = self._value(function, local)
        if called is UNKNOWN:
            return objection
        is_of_a_cell = isinstance(called, FunctionType) and self._is_of_a_cell(called)
        if is_of_a_cell or self._is_own(called) or self._is_own(type(getattr(called, "__self__", None))):
            if not self._is_safe(called):
                return objection
            nodes = self._nodes_of(called)
            if isinstance(node, ast.Call) and not all(
                self._body(each, None, and_inner=True) for each in nodes
            ):
                return objection
        else:
            keeps = harmless.keeps_what_it_decorates(called)
            may_run = keeps is None and decorated is not None and not self._body(decorated, None)
            if keeps is False or may_run:
                return objection
        if not isinstance(node, ast.Call):
            return ""
        if called is functools.partial and node.args:
            return self._decorator(node.args[0], local, decorated) or self._first(node.args[1:], local)
        values = [*node.args, *(keyword.value for keyword in node.keywords)]
        if why := self._first(values, local):
            return why
        passes = not harmless.keeps_functions(called) and self._passes_functions(called, node, values, local)
        return objection if passes else ""

    def _nodes_of(self, called: Any) -> list[FunctionNode]:
        code = getattr(getattr(called, "__func__", called), "__code__", None)
        if not isinstance(code, CodeType):
            return []
        return self._functions.get((code.co_filename, code.co_firstlineno, code.co_name), [])


def functions_of(value: Any, owner: type) -> list[tuple[Any, type | None]]:
    """Return the functions of an attribute of a class, and the class of the first argument of each."""
    match value:
        case property():
            functions = [each for each in (value.fget, value.fset, value.fdel) if each is not None]
            return [(each, owner) for each in functions]
        case functools.cached_property():
            return [(value.func, owner)]
        case classmethod():
            return [(value.__func__, type(owner))]
        case staticmethod():
            is_new = getattr(value.__func__, "__name__", "") == "__new__"
            return [(value.__func__, type(owner) if is_new else None)]
    return [(value, owner)]


def _first_parameter(node: FunctionNode) -> str:
    """Return the name of the first parameter of a function, "" if it may be another object by then."""
    first = next((each.arg for each in (*node.args.posonlyargs, *node.args.args)), "")
    return "" if len(bound_values(node).get(first, ())) > 1 else first


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _sets_by_name(owner: type) -> bool:
    """Tell whether methods of a class set attributes whose names their code does not show."""
    methods = [
        method
        for kind in owner.__mro__
        for value in vars(kind).values()
        for method, _ in functions_of(value, kind)
    ]
    names = {name for each in methods if isinstance(each, FunctionType) for name in each.__code__.co_names}
    return not names.isdisjoint(_SETTING_BY_NAME)
