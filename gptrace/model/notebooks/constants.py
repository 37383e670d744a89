"""Which statements of a notebook may run: those that define a name without work, by their syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable
from typing import get_origin

from gptrace.model.notebooks import harmless
from gptrace.model.notebooks.calls import CLASS_HOOKS, KINDS, UNKNOWN, calls, is_special, short
from gptrace.model.notebooks.functions import FunctionJudge, functions_of
from gptrace.model.notebooks.names import bound_names, stored_names

_PARTS_OF_NAMES = (ast.Attribute, ast.Subscript, ast.Tuple, ast.List, ast.Constant, ast.expr_context)


class Judge(FunctionJudge):
    """Says of a statement whether it only defines constants, functions or classes.

    Each method that returns a text returns "" for what may run, and else says why it may not.
    """

    def statement(self, node: ast.stmt, local: Collection[str] = (), *, in_class: bool = False) -> str:
        """Say why a statement may not run; `local` are names that may be another thing by then.

        `in_class`: it stands in the body of a class.
        """
        hooks = [name for name in bound_names(node) if name in CLASS_HOOKS]
        if in_class and hooks and not isinstance(node, ast.FunctionDef):
            return calls(hooks[0])
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Expr(value=ast.Constant()):
                return ""
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return self._function_definition(node, local, in_class=in_class)
            case ast.ClassDef():
                inside = {*local, *stored_names(node)}
                return self.class_head(node, local) or self._each(node.body, inside, in_class=True)
            case ast.Assign(targets=targets, value=value):
                return self._first([value], local) or self._first(targets, {*local, *bound_names(node)})
            case ast.AugAssign(target=target, value=value):
                return self._first((target, value), local)
            case ast.AnnAssign(target=target, annotation=annotation, value=assigned):
                return self._first((target, annotation, *([] if assigned is None else [assigned])), local)
            case ast.Expr(value=value):
                return self.expression(value, local)
            case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final):
                in_handlers = [line for handler in handlers for line in handler.body]
                kinds = [handler.type for handler in handlers if handler.type is not None]
                inside = {*local, *bound_names(node)}
                return self._first(kinds, inside) or self._each(
                    (*body, *in_handlers, *orelse, *final), inside
                )
            case ast.If(test=test, body=body, orelse=orelse):
                inside = {*local, *bound_names(node)}
                return self.expression(test, local) or self._each((*body, *orelse), inside)
            case ast.Delete(targets=targets) if all(self._is_item(each, local) for each in targets):
                return self._first(targets, local)
        if type(node).__name__ == "TypeAlias":  # since Python 3.12
            return ""
        return KINDS.get(type(node), "is neither an import nor a definition nor a constant")

    def class_head(self, node: ast.ClassDef, local: Collection[str] = ()) -> str:
        """Say why a class may not be defined, whatever is in its body."""
        bases = [*node.bases, *(keyword.value for keyword in node.keywords)]
        objection = self._decorators(node, local) or self._first(bases, local)
        if objection:
            return objection
        values = [self._value(base, local) for base in bases]
        metaclasses = [each.value for each in node.keywords if each.arg in ("metaclass", None)]
        for base, value in zip(bases, values, strict=True):
            is_type = isinstance(value, type) and issubclass(value, type)
            is_known = (
                is_type if base in metaclasses and value is not UNKNOWN else self._is_known(base, local)
            )
            if (base in node.bases or base in metaclasses) and not is_known:
                return calls(short(base))
        origins = [get_origin(value) or value for value in values]
        kinds = [kind for value in origins if isinstance(value, type) for kind in (value, type(value))]
        for kind in kinds:
            if not self._has_safe_hook(kind):
                return calls(f"{kind.__name__}.__init_subclass__")
            if issubclass(kind, type) and self._is_own(kind) and not self._is_record(kind):
                return calls(kind.__name__)
        runs_at_once = any(type(kind).__name__ in ("EnumMeta", "EnumType") for kind in kinds)
        for function in node.body:
            if not isinstance(function, ast.FunctionDef) or not is_special(function.name):
                continue
            is_hook = function.name in CLASS_HOOKS
            decorators = [self._value(each, local) for each in function.decorator_list]
            is_changed = is_hook and not all(each in (classmethod, staticmethod) for each in decorators)
            runs = runs_at_once or (is_hook and function.name != "__init_subclass__")
            if is_changed or (runs and not self._body(function, None)):
                return calls(f"{node.name}.{function.name}")
        return ""

    def _is_known(self, base: ast.expr, local: Collection[str]) -> bool:
        """Tell whether it is known what a base is, or that it is missing, which an error tells."""
        if isinstance(base, ast.Call):  # `namedtuple("Sizes", "height width")`
            called = self._value(base.func, local)
            return called is not UNKNOWN and not self._is_own(called) and harmless.only_computes(called)
        if isinstance(base, ast.Name) and base.id in local:  # a class beside it, in the body of another
            return not self._has_subclass_hook
        return all(
            part.id not in local if isinstance(part, ast.Name) else isinstance(part, _PARTS_OF_NAMES)
            for part in ast.walk(base)
        )

    def _has_safe_hook(self, kind: type) -> bool:
        """Tell whether a class, as a base, runs nothing but safe code of the notebook."""
        hooks = [vars(each).get("__init_subclass__") for each in kind.__mro__ if self._is_own(each)]
        return all(self._runs_safely(*method) for hook in hooks for method in functions_of(hook, kind))

    def _each(self, nodes: Iterable[ast.stmt], local: Collection[str], *, in_class: bool = False) -> str:
        whys = (self.statement(node, local, in_class=in_class) for node in nodes)
        return next(filter(None, whys), "")

    def _is_item(self, target: ast.expr, local: Collection[str]) -> bool:
        """Tell whether a target is an item of a dict or a list."""
        if not isinstance(target, ast.Subscript):
            return False
        return isinstance(self._value(target.value, local), harmless.CONTAINERS)
