"""The names that a piece of code binds, by its syntax tree."""

from __future__ import annotations

import ast

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_CONTAINERS = (ast.Dict, ast.List, ast.Set, ast.Tuple, ast.JoinedStr, ast.Constant, *_COMPREHENSIONS)
_MAKING_CONTAINERS = ("dict", "list", "set", "str", "tuple")
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


def container_names(node: _Function) -> set[str]:
    """Return the local names of a function that are dicts, lists and the like wherever they are bound.

    >>> container_names(ast.parse("def f(a, **b):\\n    c = dict(a)\\n    d = g()").body[0]) == {"b", "c"}
    True
    """
    bound: dict[str, bool] = {}
    given = [each.arg for each in (node.args.vararg, node.args.kwarg) if each is not None]
    assigned: dict[int, ast.expr] = {}
    for part in ast.walk(node):
        if isinstance(part, ast.Assign):
            assigned |= {id(target): part.value for target in part.targets}
        elif isinstance(part, ast.AnnAssign) and part.value is not None:
            assigned[id(part.target)] = part.value
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            value = assigned.get(id(part))
            makes = isinstance(value, ast.Call) and getattr(value.func, "id", "") in _MAKING_CONTAINERS
            bound[part.id] = bound.get(part.id, True) and (makes or isinstance(value, _CONTAINERS))
        elif isinstance(part, ast.arg) and part.arg not in given:
            bound[part.arg] = False
    return {name for name, is_container in bound.items() if is_container} | {
        name for name in given if name not in bound
    }
