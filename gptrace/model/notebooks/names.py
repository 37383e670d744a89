"""The names that a piece of code binds, by its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Collection

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


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


def stored_names(node: ast.AST) -> set[str]:
    """Return all names that are bound in some code, those of comprehensions and of arguments included.

    >>> sorted(stored_names(ast.parse("[i for i in (x := map(lambda a: a, y))]")))
    ['a', 'i', 'x']
    """
    names: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            names.add(part.id)
        elif isinstance(part, ast.arg):
            names.add(part.arg)
    return names


def names_in_function(node: _Function) -> set[str]:
    """Return the names that are not those of the module in a function, and in the functions in it."""
    body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
    names = stored_names(node)
    for part in (part for each in body for part in ast.walk(each)):
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(part.name)
        elif isinstance(part, ast.alias):
            names.add(part.asname or part.name.partition(".")[0])
        elif isinstance(part, ast.ExceptHandler) and part.name:
            names.add(part.name)
    return names


def bound_values(node: _Function, given: Collection[str] = ()) -> dict[str, list[ast.expr | None]]:
    """Return what the local names of a function are bound to; None stands for what is not known.

    given  parameters whose values are known

    >>> code = ast.parse("def f(a, *b):\\n    a = c = {}\\n    for d in a: pass").body[0]
    >>> values = bound_values(code)
    >>> {name: [value and ast.unparse(value) for value in values[name]] for name in values}
    {'a': [None, '{}'], 'b': [], 'c': ['{}'], 'd': [None]}
    """
    several = [each for each in (node.args.vararg, node.args.kwarg) if each is not None]
    own = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    known = [*several, *(each for each in own if each.arg in given)]
    bound: dict[str, list[ast.expr | None]] = {
        each.arg: [] if each in known else [None] for each in (*own, *several)
    }
    assigned: dict[int, ast.expr] = {}
    for part in ast.walk(node):
        if isinstance(part, ast.Assign):
            assigned |= {id(target): part.value for target in part.targets}
        elif isinstance(part, ast.AnnAssign) and part.value is not None:
            assigned[id(part.target)] = part.value
        elif isinstance(part, ast.AugAssign):  # a dict or a list stays one
            assigned[id(part.target)] = ast.Constant("")
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            bound.setdefault(part.id, []).append(assigned.get(id(part)))
        elif isinstance(part, ast.arg) and part not in own and part not in several:
            bound.setdefault(part.arg, []).append(None)
        elif isinstance(part, ast.Global | ast.Nonlocal):
            bound |= {name: [None] for name in part.names if name not in bound}
            for name in part.names:
                bound[name].append(None)
        elif (
            isinstance(part, ast.ExceptHandler | ast.FunctionDef | ast.AsyncFunctionDef) and part is not node
        ):
            bound.setdefault(part.name or "", []).append(None)
    return bound
