"""A module that returned None, mostly since its forward has no return."""

from __future__ import annotations

import ast
import inspect
import textwrap

from gptrace.model.quiet_torch import torch
from gptrace.model.user_code_errors import short_place
from gptrace.tracing.diagnosis.context import FailureContext


def returned_none(context: FailureContext) -> str:
    """Something was done with None, and a module called before returned it."""
    if "NoneType" not in context.message or not context.returned_none:
        return ""
    call = context.returned_none[-1]
    return f"{call.path} returned None{why_none(call.module)}"


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
