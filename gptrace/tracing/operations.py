"""The functional operations between the modules, as the source calls them: `--ops`.

TensorInfo through torch.overrides, so a row is what somebody wrote (`softmax`, `@`, `view`), and not what it
becomes further down.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from gptrace.model.quiet_torch import torch
from gptrace.tracing.memory import shares_memory
from gptrace.tracing.span import Span
from gptrace.tracing.tensors import HOLD_NOTHING, TensorInfo, describe_tensors

Tensor = torch.Tensor

# Properties that give a tensor; all others, like shape, are no work.
_PROPERTIES = {"T", "mT", "H", "mH", "real", "imag"}
_OPERATORS = {
    "__add__": "add", "__radd__": "add", "__iadd__": "add_", "__sub__": "sub", "__rsub__": "rsub",
    "__isub__": "sub_", "__mul__": "mul", "__rmul__": "mul", "__imul__": "mul_", "__truediv__": "div",
    "__rtruediv__": "rdiv", "__itruediv__": "div_", "__pow__": "pow", "__rpow__": "rpow", "__neg__": "neg",
    "__matmul__": "matmul", "__rmatmul__": "matmul", "__getitem__": "getitem", "__setitem__": "setitem_",
    "__floordiv__": "floor_divide", "__mod__": "remainder", "__eq__": "eq", "__ne__": "ne", "__lt__": "lt",
    "__le__": "le", "__gt__": "gt", "__ge__": "ge", "__and__": "bitwise_and", "__or__": "bitwise_or",
    "__invert__": "bitwise_not", "__abs__": "abs",
}  # fmt: skip
# Where an operation comes through on its way from somebody's line.
_FOLDER = torch.__file__.rpartition("/")[0]
_PASSED_THROUGH = (
    f"{_FOLDER}/overrides.py", f"{_FOLDER}/_tensor.py", f"{_FOLDER}/functional.py",
    f"{_FOLDER}/nn/functional.py", f"{_FOLDER}/utils/_device.py", f"{_FOLDER}/_jit_internal.py", __file__,
)  # fmt: skip


class Operation:
    """One call of one function of torch. `place` is the number of calls of modules that began before it."""

    is_view = in_place = False
    macs = 0
    unknown: frozenset[str] = frozenset()
    outputs: tuple[TensorInfo, ...] = ()

    def __init__(
        self, name: str, parent: Span | None, place: int, inputs: tuple[TensorInfo, ...], source: str
    ) -> None:
        self.name = name
        self.parent = parent
        self.place = place
        self.inputs = inputs
        self.source = source


class OperationMode(torch.overrides.TorchFunctionMode):
    """Notes every operation while it is entered; `now` says in which call, and how many calls began before.

    `open` is the operation that runs, of whatever it becomes below. An operation that raises is kept, too.
    `done` is the number of functions that were called so far, with the attributes that were set.
    """

    def __init__(self, now: Any) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self.open: Operation | None = None
        self.failed: Operation | None = None
        self.error: Exception | None = None
        self.done = 0
        self._now = now
        self._names: dict[object, str] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = self._names.get(func)
        if name is None:
            name = self._names[func] = _name(func)
        if not name:
            self.done += func.__name__ != "__get__"
            return func(*args, **kwargs)
        self.done += 1
        inputs = _seen_arguments(args, kwargs)
        parent, place = self._now()
        operation = Operation(name, parent, place, inputs, _source(sys._getframe(1)))
        self.open = operation
        try:
            result = func(*args, **kwargs)
        except Exception as error:
            self.failed, self.error = operation, error
            self.operations.append(operation)
            raise
        finally:
            self.open = None
        operation.outputs = describe_tensors("output", args[0] if name == "setitem_" else result)
        if operation.outputs:
            if name.endswith("_"):
                operation.in_place = True
            else:
                first = result[0] if isinstance(result, tuple | list) else result
                given = (*args, *kwargs.values()) if kwargs else args
                operation.is_view = isinstance(first, Tensor) and shares_memory(first, given)
            self.operations.append(operation)
        return result


def _name(func: Any) -> str:
    """Return the name that people know a function by; "" for what is no operation."""
    name = getattr(func, "__name__", "")
    if name in ("__get__", "__set__", "__delete__"):
        attribute = getattr(func.__self__, "__name__", "")
        return attribute if name == "__get__" and attribute in _PROPERTIES else ""
    return _OPERATORS.get(name, "" if name.startswith("__") else name)


def _seen_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[TensorInfo, ...]:
    found: tuple[TensorInfo, ...] = ()
    for position, value in enumerate(args):
        if type(value) not in HOLD_NOTHING:
            found += describe_tensors(f"args[{position}]" if position else "input", value)
    for name, value in kwargs.items():
        if type(value) not in HOLD_NOTHING:
            found += describe_tensors(name, value)
    return found


def _source(frame: FrameType | None) -> str:
    """Return file and line of the code that asked for an operation."""
    while frame is not None and frame.f_code.co_filename.startswith(_PASSED_THROUGH):
        frame = frame.f_back
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
