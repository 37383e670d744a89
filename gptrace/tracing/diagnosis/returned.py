"""A module that returned no tensor: None, mostly since its forward has no return, or several in a tuple."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import textwrap
import traceback

from gptrace.model.quiet_torch import torch
from gptrace.model.user_code_errors import NEVER_USER_CODE, short_place
from gptrace.tracing.diagnosis.context import FailureContext
from gptrace.tracing.span import Span
from gptrace.wording import enumerated


def returned_none(context: FailureContext) -> str:
    """Something was done with None, and a module called before returned it."""
    calls = [call for call in context.calls if call.returned_class == "NoneType"]
    if "NoneType" not in context.message or not calls:
        return ""
    return f"{calls[-1].path} returned None{why_none(calls[-1].module)}"


def returned_tuple(context: FailureContext) -> str:
    """A tuple was used as a tensor, and a module called before returned that tuple."""
    kind = re.search(r"\b(tuple|list)\b", context.message)
    if kind is None or not isinstance(context.error, TypeError | AttributeError):
        return ""
    calls = [call for call in context.calls if call.returned_class == kind[0] and call.outputs]
    call = next((call for call in reversed(calls) if _is_used(call, context)), None)
    if call is None:
        return ""
    shapes, name = [str(list(info.shape)) for info in call.outputs], call.path.rpartition(".")[2]
    return (
        f"{call.path} returned a {kind[0]} of tensors, {enumerated(shapes, 4)}, where one tensor is needed; "
        f"take one of them, as in {name if name.isidentifier() else 'block'}(x)[0]"
    )


def _is_used(call: Span, context: FailureContext) -> bool:
    """Tell whether code that failed calls the module on its line, or holds what the module returned."""
    name, shapes = call.path.rpartition(".")[2], [info.shape for info in call.outputs]
    for frame, line in traceback.walk_tb(context.error.__traceback__):
        file, held = frame.f_code.co_filename, list(frame.f_locals.values())
        if file.startswith(NEVER_USER_CODE):
            held = [frame.f_locals.get("input")]  # of Sequential; others hold all arguments in a tuple
        elif f".{name}(" in linecache.getline(file, line, frame.f_globals):
            return True
        for value in held:
            if type(value).__name__ == call.returned_class:
                tensors = [item for item in value if isinstance(item, torch.Tensor)]
                if [tuple(item.shape) for item in tensors] == shapes:
                    return True
    return False


def why_none(module: torch.nn.Module) -> str:
    """Return where the forward is that returned None, and whether it has no return; "" where unknown.

    >>> why_none(torch.nn.Identity())
    ''
    """
    forward = inspect.unwrap(type(module).forward)
    code = getattr(forward, "__code__", None)
    try:
        function = ast.parse(textwrap.dedent(inspect.getsource(forward))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return ""
    values = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    if code is None or any(value is not None for value in values):
        return ""
    place = short_place(code.co_filename, code.co_firstlineno)
    return f": {code.co_qualname} at {place} has no return; end it with one, as in return x"
