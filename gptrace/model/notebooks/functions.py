"""Which functions and classes of a notebook may be used while it is loaded: those that only compute."""

from __future__ import annotations

import ast
import builtins
import functools
from collections.abc import Collection
from types import CodeType, FunctionType
from typing import Any

from gptrace.model.notebooks import harmless
from gptrace.model.notebooks.calls import UNKNOWN, CallJudge, FunctionNode, calls, is_special, short
from gptrace.model.notebooks.names import container_names, names_in_function

# What functions of the notebook may call, too: methods of dicts and lists, and what constructs an object.
_IN_FUNCTIONS = ("super", "setattr", "print")
_METHODS_IN_FUNCTIONS = (
    "__init__", "__new__", "__call__", "__init_subclass__", "__setattr__", "items", "keys", "values", "get",
    "update", "copy", "setdefault", "pop", "append", "extend", "add", "join", "format",
)  # fmt: skip
_REFUSED_IN_FUNCTIONS = (
    ast.While, ast.With, ast.AsyncWith, ast.AsyncFor, ast.Import, ast.ImportFrom, ast.Await, ast.ClassDef,
)  # fmt: skip


class FunctionJudge(CallJudge):
    """Says of functions and classes of the notebook, and of what their definitions evaluate, what may run."""

    def _is_record(self, kind: type) -> bool:
        """Tell whether to construct and to use an object of a class runs nothing but safe code."""
        if self._is_own(type(kind)) and type(kind) is not kind and not self._is_record(type(kind)):
            return False
        for each in kind.__mro__:
            if not self._is_own(each):
                if not harmless.is_plain_base(each):
                    return False
                continue
            for name, value in vars(each).items():
                functions = _functions_of(value)
                if (is_special(name) or isinstance(value, property | functools.cached_property)) and not all(
                    self._runs_safely(function, kind) for function in functions
                ):
                    return False
        return True

    def _runs_safely(self, function: Any, owner: type | None) -> bool:
        """Tell whether a function does nothing but compute; `owner` is the class of its first argument."""
        if not isinstance(function, FunctionType):
            return not callable(function) or isinstance(function, type) or not self._is_own(type(function))
        if not self._is_of_a_cell(function):
            return True  # made by a library, such as the __init__ of a dataclass
        code = function.__code__
        nodes = self._functions.get((code.co_filename, code.co_firstlineno, code.co_name), [])
        if len(nodes) != 1 or code in self._judged:
            return False
        self._judged.append(code)
        try:
            return self._body(nodes[0], owner)
        finally:
            self._judged.pop()

    def _body(self, node: FunctionNode, owner: type | None, *, and_inner: bool = False) -> bool:
        """Tell whether the body of a function only computes; `and_inner` adds the functions in it."""
        local = names_in_function(node)
        waiting: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
        while waiting:
            part = waiting.pop()
            if isinstance(part, _REFUSED_IN_FUNCTIONS):
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

    def _call_in_body(
        self, call: ast.Call, node: FunctionNode, local: Collection[str], owner: type | None
    ) -> bool:
        function = call.func
        if isinstance(function, ast.Name) and function.id in _IN_FUNCTIONS:
            return self._value(function, local) is getattr(builtins, function.id)
        if isinstance(function, ast.Attribute):
            arguments = node.args.posonlyargs + node.args.args
            is_of_self = isinstance(function.value, ast.Name) and [function.value.id] == [
                argument.arg for argument in arguments[:1]
            ]
            own = getattr(owner, function.attr, None) if is_of_self and owner is not None else None
            own = getattr(own, "__func__", own)
            if isinstance(own, FunctionType) and self._is_of_a_cell(own):
                return self._runs_safely(own, owner)
            if function.attr in _METHODS_IN_FUNCTIONS:
                of_container = getattr(function.value, "id", None) in container_names(node)
                return of_container or self._is_safe_wherever_defined(function.attr)
        return not self._call(call, local)

    def _is_safe_wherever_defined(self, name: str) -> bool:
        """Tell whether a method of this name only computes in each class of the notebook that has it.

        Python's own methods, such as `__init__`, are those of a class that is judged with its bases.
        """
        own = [
            (getattr(each, name), each)
            for each in self.namespace.values()
            if isinstance(each, type) and self._is_own(each) and hasattr(each, name)
        ]
        return is_special(name) or all(
            self._runs_safely(getattr(method, "__func__", method), owner) for method, owner in own
        )

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
        passes = not harmless.keeps_functions(called) and self._passes_functions(node, values, local)
        return objection if passes else ""

    def _nodes_of(self, called: Any) -> list[FunctionNode]:
        code = getattr(getattr(called, "__func__", called), "__code__", None)
        if not isinstance(code, CodeType):
            return []
        return self._functions.get((code.co_filename, code.co_firstlineno, code.co_name), [])


def _functions_of(value: Any) -> list[Any]:
    match value:
        case property():
            return [each for each in (value.fget, value.fset, value.fdel) if each is not None]
        case functools.cached_property():
            return [value.func]
        case staticmethod() | classmethod():
            return [value.__func__]
    return [value]
