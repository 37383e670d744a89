"""The names that a function of the user's code gives to sizes, for advice on what to write there."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gptrace.verify.check.places import Place
from gptrace.verify.check.source_code import function_at

_HEADS = (
    "n_heads",
    "num_heads",
    "n_head",
    "num_head",
    "nhead",
    "nheads",
    "heads",
    "num_attention_heads",
    "nh",
)
_HEADS_OF_KEYS = ("n_kv_heads", "num_kv_heads", "n_kv_head", "num_key_value_heads", "n_kv_groups")
_HEAD_DIM = ("head_dim", "d_head", "dim_head", "head_size", "d_k")
_Name = ast.Name | ast.Attribute | ast.Subscript


def own_names(place: Place) -> dict[str, str]:
    """Return how the function at a place writes B, T, n_heads and head_dim: {"n_heads": "self.num_heads"}.

    A size that the function does not name is left out. `head_dim_factor` is `head_dim` within a product.
    """
    function = function_at(place)
    if function is None:
        return {}
    found = dict(zip("BT", _names_of_axes(function), strict=False))
    expressions = list(_expressions(function))
    on_line = [node for node in expressions if node.lineno == place.line]  # may be that of keys or values
    for size, names, names_on_line in (
        ("n_heads", _HEADS, (*_HEADS, *_HEADS_OF_KEYS)),
        ("head_dim", _HEAD_DIM, _HEAD_DIM),
    ):
        named = [node for node in on_line if _last_name(node) in names_on_line]
        named += [node for node in expressions if _last_name(node) in names]
        if named:
            found[size] = ast.unparse(named[0])
    quotient = _quotient(function, found.get("n_heads", ""))
    if "head_dim" in found:
        found["head_dim_factor"] = found["head_dim"]
    elif quotient:
        found |= {"head_dim": quotient, "head_dim_factor": f"({quotient})"}
    return found


def _names_of_axes(function: ast.FunctionDef) -> list[str]:
    """Return the names of the first axes, from a line such as `B, T, C = x.shape`."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            is_shape = ast.unparse(node.value).endswith((".shape", ".size()"))
            names = [target.id for target in node.targets[0].elts if isinstance(target, ast.Name)]
            if is_shape and len(names) == len(node.targets[0].elts) and "_" not in names[:2]:
                return names
    return []


def _quotient(function: ast.FunctionDef, heads: str) -> str:
    """Return the width by the number of heads where the code writes it so, as in C // self.n_head; or ""."""
    for node in ast.walk(function):
        is_quotient = isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv)
        if is_quotient and ast.unparse(node.right) == heads:  # type: ignore[attr-defined]  # of a BinOp
            return ast.unparse(node)
    return ""


def _expressions(function: ast.FunctionDef) -> Iterator[_Name]:
    """Yield the variables, attributes and items of a function, but no function that is called."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, _Name):
            yield node
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute):
            waiting.append(called.value)
        waiting += [child for child in ast.iter_child_nodes(node) if child is not called]


def _last_name(node: _Name) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return str(node.slice.value) if isinstance(node.slice, ast.Constant) else ""
