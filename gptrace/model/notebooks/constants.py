"""Which statements of a notebook may run: those that define a name without work, by their syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable
from types import MethodType

from gptrace.model.notebooks import harmless
from gptrace.model.notebooks.calls import KINDS, calls, is_special
from gptrace.model.notebooks.functions import FunctionJudge
from gptrace.model.notebooks.names import bound_names, stored_names


class Judge(FunctionJudge):
    """Says of a statement whether it only defines constants, functions or classes.

    Each method that returns a text returns "" for what may run, and else says why it may not.
    """

    def statement(self, node: ast.stmt, local: Collection[str] = (), *, in_class: bool = False) -> str:
        """Say why a statement may not run; `local` are names that may be another thing by then.

        `in_class`: it stands in the body of a class.
        """
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
        kinds = [kind for value in values if isinstance(value, type) for kind in (value, type(value))]
        for kind in kinds:
            hook = getattr(kind, "__init_subclass__", None)
            if isinstance(hook, MethodType) and not self._runs_safely(hook.__func__, kind):
                return calls(f"{kind.__name__}.__init_subclass__")
            if issubclass(kind, type) and self._is_own(kind) and not self._is_record(kind):
                return calls(kind.__name__)
        runs_at_once = any(type(kind).__name__ in ("EnumMeta", "EnumType") for kind in kinds)
        for function in node.body:
            runs = (
                isinstance(function, ast.FunctionDef)
                and is_special(function.name)
                and (runs_at_once or function.name == "__class_getitem__")
            )
            if isinstance(function, ast.FunctionDef) and runs and not self._body(function, None):
                return calls(f"{node.name}.{function.name}")
        return ""

    def _each(self, nodes: Iterable[ast.stmt], local: Collection[str], *, in_class: bool = False) -> str:
        whys = (self.statement(node, local, in_class=in_class) for node in nodes)
        return next(filter(None, whys), "")

    def _is_item(self, target: ast.expr, local: Collection[str]) -> bool:
        """Tell whether a target is an item of a dict or a list."""
        if not isinstance(target, ast.Subscript):
            return False
        return isinstance(self._value(target.value, local), harmless.CONTAINERS)
