"""A module that returned no tensor: None, mostly for want of a return; a coroutine; or several in a tuple."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import textwrap
from collections.abc import Iterator
from types import CodeType, TracebackType

from gptrace.model.quiet_torch import torch
from gptrace.model.raising_statements import position
from gptrace.model.user_code_errors import NEVER_USER_CODE, short_place
from gptrace.tracing.diagnosis.context import FailureContext
from gptrace.tracing.span import Span
from gptrace.wording import enumerated

# Classes of what a function returns before any of it has run.
UNRUN = ("coroutine", "generator", "async_generator")
_LONGEST_RESULT = 80
_SEQUENTIAL = torch.nn.Sequential.forward.__code__
# What Python and torch say where a tuple is in the place of a tensor.
_USES = (
    r"unsupported operand type\(s\) for .*'(?P<kind>tuple|list)'",
    r"must be Tensor, not (?P<kind>tuple|list)",
    r"'(?P<kind>tuple|list)' object has no attribute '(?P<attribute>\w+)'",
    r"can only concatenate (?P<kind>tuple|list) \(not \"Tensor\"\)",
    r"(?P<kind>tuple|list) indices must be integers or slices, not tuple",
)


def returned_none(context: FailureContext) -> str:
    """Something was done with None, and a module called before returned it."""
    calls = [call for call in context.calls if call.returned_class == "NoneType"]
    # A module may return None on purpose, such as one that only keeps figures, and another None fail.
    if "NoneType" not in context.message or not calls or not _is_used(calls[-1], context):
        return ""
    return f"{calls[-1].path} returned None{why_none(calls[-1].module)}"


def returned_coroutine(context: FailureContext) -> str:
    """Something was done with a coroutine, and a module called before returned it."""
    path = _last_to_return("coroutine", context)
    return (
        f"{path} returned a coroutine: its forward is declared with async def; use plain def" if path else ""
    )


def returned_generator(context: FailureContext) -> str:
    """Something was done with a generator, and a module called before returned it."""
    path = _last_to_return("generator", context) or _last_to_return("async_generator", context)
    return f"{path} returned a generator: its forward holds yield; use return" if path else ""


def _last_to_return(kind: str, context: FailureContext) -> str:
    """Return the path of the last call that returned an object of a class that the exception names."""
    paths = [call.path for call in context.calls if call.returned_class == kind]
    return paths[-1] if paths and kind in context.message else ""


def returned_tuple(context: FailureContext) -> str:
    """A tuple was used as a tensor, and a module called before returned that tuple."""
    kind = _used_as_tensor(context)
    calls = [call for call in context.calls if kind and call.returned_class == kind and call.outputs]
    call = next((call for call in reversed(calls) if _is_used(call, context)), None)
    if call is None:
        return ""
    shapes, name = [str(list(info.shape)) for info in call.outputs], call.path.rpartition(".")[2]
    return (
        f"{call.path} returned a {kind} with {enumerated(shapes, 4)}, where one tensor is needed; "
        f"take it out, as in {name if name.isidentifier() else 'block'}(x)[0]"
    )


def _used_as_tensor(context: FailureContext) -> str:
    """Return "tuple" or "list" where one was used in a way in which a tensor could be; else ""."""
    if not isinstance(context.error, TypeError | AttributeError):
        return ""
    for pattern in _USES:
        if found := re.search(pattern, context.message):
            attribute = found.groupdict().get("attribute", "shape")
            return found["kind"] if hasattr(torch.Tensor, attribute) else ""
    return ""


def _is_used(call: Span, context: FailureContext) -> bool:
    """Tell whether the line that failed calls the module of a call, or names what the module returned."""
    # Sequential is code of torch, but hands on what a module of the user's has returned.
    own = [
        part
        for part in _parts_of(context.error)
        if part.tb_frame.f_code is _SEQUENTIAL
        or not part.tb_frame.f_code.co_filename.startswith(NEVER_USER_CODE)
    ]
    if not own:
        return False
    part = own[-1]
    frame = part.tb_frame
    if frame.f_code is _SEQUENTIAL:
        return _is_output(frame.f_locals.get("input"), call)
    text = _text_of(part)
    # As `self.att(x)`, and not `self.att(x)[0]`.
    name = re.escape(call.path.rpartition(".")[2])
    if re.search(rf"\.{name}\((?:[^()]|\([^()]*\))*\)(?!\[-?\d+\])", text):
        return True
    if _is_discarded(call, frame.f_code):
        return False
    named = set(re.findall(r"\w+", text))
    return any(_is_output(value, call) for key, value in frame.f_locals.items() if key in named)


def _is_discarded(call: Span, code: CodeType) -> bool:
    """Tell whether a function drops whatever a module returns, since each call is a statement of its own."""
    name = call.path.rpartition(".")[2]
    try:
        nodes = list(ast.walk(ast.parse(textwrap.dedent(inspect.getsource(code)))))
    except (OSError, TypeError, SyntaxError):
        return False
    dropped = [node.value for node in nodes if isinstance(node, ast.Expr)]
    called = [
        node
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name
    ]
    return bool(called) and all(node in dropped for node in called)


def _parts_of(error: BaseException) -> Iterator[TracebackType]:
    part = error.__traceback__
    while part is not None:
        yield part
        part = part.tb_next


def _text_of(part: TracebackType) -> str:
    """Return the lines of the expression that a frame stopped at."""
    code = part.tb_frame.f_code
    last = max(part.tb_lineno, position(part)[1] or 0)
    lines = linecache.getlines(code.co_filename, part.tb_frame.f_globals)
    return "".join(lines[part.tb_lineno - 1 : last])


def _is_output(value: object, call: Span) -> bool:
    if call.returned_class == "NoneType":
        return value is None
    if type(value).__name__ != call.returned_class or not isinstance(value, tuple | list):
        return False
    shapes = [tuple(item.shape) for item in value if isinstance(item, torch.Tensor)]
    return shapes == [info.shape for info in call.outputs]


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
    result = _last_result(function)
    if not result:
        return f": {code.co_qualname} at {place} has no return; end it with one"
    return f": {code.co_qualname} at {place} has no return; end it with return {result}"


def _last_result(function: ast.stmt) -> str:
    """Return the name that a function sets last, or its last call of a module; "" if its end is neither."""
    last = getattr(function, "body", [None])[-1]
    if isinstance(last, ast.Assign) and len(last.targets) == 1 and isinstance(last.targets[0], ast.Name):
        return last.targets[0].id
    if isinstance(last, ast.AugAssign) and isinstance(last.target, ast.Name):
        return last.target.id
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
        text = ast.unparse(last.value)
        return text if text.startswith("self.") and len(text) <= _LONGEST_RESULT else ""
    return ""
