"""The functional operations between the modules, as the source calls them: `--ops`.

They are seen through torch.overrides, so a row is the operation in the user's code (`softmax`, `@`, `view`)
and not the kernels that it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, Protocol

import msgspec

from gptrace.model.quiet_torch import torch
from gptrace.record import Traffic
from gptrace.tracing.activation_memory import storage_key
from gptrace.tracing.span import Occurrence, Sources, Span, occurrences
from gptrace.tracing.tensors import (
    Found,
    TensorInfo,
    describe_each,
    find_operands,
    find_tensors,
)

Tensor = torch.Tensor
_without_function_modes = torch._C.DisableTorchFunction

# Attributes of a tensor that return a tensor; other attributes, such as shape, are not operations.
_TENSOR_ATTRIBUTES = {"T", "mT", "H", "mH", "real", "imag"}
_OPERATORS = {
    "__add__": "add", "__radd__": "add", "__iadd__": "add_", "__sub__": "sub", "__rsub__": "rsub",
    "__isub__": "sub_", "__mul__": "mul", "__rmul__": "mul", "__imul__": "mul_", "__truediv__": "div",
    "__rtruediv__": "rdiv", "__itruediv__": "div_", "__pow__": "pow", "__rpow__": "rpow", "__neg__": "neg",
    "__matmul__": "matmul", "__rmatmul__": "matmul", "__getitem__": "getitem", "__setitem__": "setitem_",
    "__floordiv__": "floor_divide", "__mod__": "remainder", "__eq__": "eq", "__ne__": "ne", "__lt__": "lt",
    "__le__": "le", "__gt__": "gt", "__ge__": "ge", "__and__": "bitwise_and", "__or__": "bitwise_or",
    "__invert__": "bitwise_not", "__abs__": "abs", "__iand__": "bitwise_and_", "__ior__": "bitwise_or_",
    "__ixor__": "bitwise_xor_", "__xor__": "bitwise_xor", "__lshift__": "bitwise_left_shift",
    "__rshift__": "bitwise_right_shift", "__ilshift__": "bitwise_left_shift_",
    "__irshift__": "bitwise_right_shift_", "__rfloordiv__": "rfloor_divide", "__rmod__": "rremainder",
    "__reversed__": "flip",
}  # fmt: skip
# `x.data` and `x.data = y` are no operations, but the data moves to another tensor.
_READ_DATA, _SET_DATA = Tensor.data.__get__, Tensor.data.__set__  # type: ignore[attr-defined]
# Files of torch, and this one, whose frames lie between an operation and the line that asked for it.
_FOLDER = torch.__file__.rpartition("/")[0]
PASSED_THROUGH = (
    f"{_FOLDER}/overrides.py", f"{_FOLDER}/_tensor.py", f"{_FOLDER}/functional.py",
    f"{_FOLDER}/nn/functional.py", f"{_FOLDER}/utils/_device.py", f"{_FOLDER}/_jit_internal.py",
    f"{_FOLDER}/_ops.py", f"{_FOLDER}/_library/", f"{_FOLDER}/_utils.py",
    f"{_FOLDER}/nn/parameter.py", f"{_FOLDER}/nn/attention/", f"{_FOLDER}/_dynamo/",
    f"{_FOLDER}/_higher_order_ops/", f"{_FOLDER}/_functorch/", f"{_FOLDER}/fx/", "<eval_with_key>", __file__,
)  # fmt: skip


class Operation(msgspec.Struct, eq=False):
    """One call of one torch function. `place` is the number of module calls that began before it.

    `mixed` has the side and name of each tensor that has no lane for each token, if these are followed: see
    `TokenLanes`.
    """

    name: str
    parent: Span | None
    place: int
    inputs: tuple[TensorInfo, ...]
    source: str
    outputs: tuple[TensorInfo, ...] = ()
    is_view: bool = False
    in_place: bool = False
    mixed: frozenset[tuple[str, str]] = frozenset()
    macs: int = 0
    unknown: frozenset[str] = frozenset()  # kernels whose cost is unknown
    traffic: Sequence[Traffic] = ()  # the messages between processes
    twin: Operation | None = None  # the same operation in the whole of a spread model
    sources: Sequence[Sources] = ()  # where each input came from, if origins are followed


class OriginFollower(Protocol):
    """What follows where the tensors of operations come from; see `OriginTracker`."""

    def take(
        self, operation: Operation, inputs: Found, args: tuple[Any, ...], kwargs: Mapping[str, Any], /
    ) -> Any:
        """Note where the inputs come from of an operation that is about to run."""

    def note(
        self, operation: Operation, inputs: Found, outputs: Found, args: tuple[Any, ...], taken: Any, /
    ) -> None:
        """Note what an operation has made; `taken` is what `take` returned."""

    def note_same(self, tensor: Tensor, other: Tensor, /) -> None:
        """Note that a tensor has the data of another one from now on."""


Observer = Callable[[Operation, Callable[..., Any], tuple[Any, ...], dict[str, Any], Any], None]


class OperationMode(torch.overrides.TorchFunctionMode):
    """Records every operation of this thread while it is entered.

    `position` returns the innermost open module call and the number of calls that began before. `current` is
    the operation that runs now, to which kernels are charged. `failed` is the last operation that raised,
    with its `error`; it is among the `operations`, too. `call_count` counts all torch functions called so far
    and all tensor attributes set or deleted, whether they are operations or not. `observer` is
    called after each operation, with its function, its arguments and its result. `origins` follows where
    tensors come from. What the code in `unrecorded` folders and files calls is no operation of the model, and
    neither is what runs while it `is_paused`.
    """

    def __init__(
        self,
        position: Any,
        observer: Observer | None = None,
        origins: OriginFollower | None = None,
        unrecorded: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self._observer = observer
        self._unrecorded = unrecorded
        self._origins = origins
        self.operations: list[Operation] = []
        self.current: Operation | None = None
        self.failed: Operation | None = None
        self.error: Exception | None = None
        self.call_count = 0
        self.is_suspended = self.is_paused = False
        # Called with the frame of each operation and what it returned.
        self.listener: Callable[[FrameType, Operation], None] | None = None
        self._position = position
        self._names: dict[object, str] = {}

    def release(self) -> None:
        """Drop the exception of a failed operation, whose frames hold this mode."""
        self.failed = self.error = None

    def suspend(self) -> bool:
        """Leave the mode for a while, if it is the innermost one; tell whether it was left."""
        count = torch._C._len_torch_function_stack()
        if not count or torch._C._get_function_stack_at(count - 1) is not self:
            return False
        torch._C._pop_torch_function_stack()
        self.is_suspended = True
        return True

    def resume(self) -> None:
        """Enter the mode again after `suspend`."""
        torch._C._push_on_torch_function_stack(self)
        self.is_suspended = False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # While this runs, torch has taken the mode off its stack: calls in here are not recorded. Those of
        # our own are hidden from the modes of a user, too.
        kwargs = kwargs or {}
        # Dynamo traces this method, too; what it makes is seen as it runs.
        if torch.compiler.is_dynamo_compiling():
            return func(*args, **kwargs)
        name = self._names.get(func)
        if name is None:
            name = self._names[func] = operation_name(func)
        if not name or self.is_paused:
            return self._run_unrecorded(func, args, kwargs)
        self.call_count += 1
        source = _source_line(sys._getframe(1))
        if self._unrecorded and source.startswith(self._unrecorded):
            return func(*args, **kwargs)
        origins, taken = self._origins, None
        with _without_function_modes():
            inputs = find_operands(args, kwargs)
            parent, place = self._position()
            operation = Operation(name, parent, place, describe_each(inputs), source)
            if origins is not None:
                taken = origins.take(operation, inputs, args, kwargs)
        self.current = operation
        try:
            result = func(*args, **kwargs)
        except Exception as error:
            self.failed, self.error = operation, error
            self._keep(operation)
            raise
        finally:
            self.current = None
        with _without_function_modes():
            outputs = find_tensors("output", args[0] if name == "setitem_" else result)
            if outputs:
                operation.outputs = describe_each(outputs)
                operation.in_place = name[-1] == "_"
                operation.is_view = not operation.in_place and _is_view(outputs, inputs)
            if origins is not None:
                origins.note(operation, inputs, outputs, args, taken)
            if self._observer is not None:
                self._observer(operation, func, args, kwargs, result)
        if outputs:
            self._keep(operation)
            if self.listener is not None:
                self.listener(sys._getframe(1), operation)
        return result

    def _run_unrecorded(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a function that is no operation, such as one that reads an attribute."""
        self.call_count += func.__name__ != "__get__"  # reading an attribute changes no tensor
        result = func(*args, **kwargs)
        if self._origins is not None and func in (_READ_DATA, _SET_DATA):
            tensors = (result, args[0]) if func == _READ_DATA else args
            with _without_function_modes():
                self._origins.note_same(*tensors)
        return result

    def _keep(self, operation: Operation) -> None:
        self.operations.append(operation)
        if operation.parent is not None:
            operation.parent.operation_count += 1


def _is_view(outputs: Found, inputs: Found) -> bool:
    """Tell whether the first output shares its memory with an input."""
    output = outputs[0][1]
    try:
        memory = output.untyped_storage()
        for _, tensor in inputs:
            if tensor.untyped_storage() is memory:  # torch keeps one object for each storage
                return True
    except (RuntimeError, ValueError):  # sparse and lazy tensors have no storage
        key = storage_key(output)
        return key is not None and any(storage_key(tensor) == key for _, tensor in inputs)
    return False


def numbered_operations(operations: Sequence[Operation], call: Occurrence) -> Iterator[Occurrence]:
    """Yield the occurrence of each operation in a call; its name and its line are its site."""
    return occurrences([(operation.name, operation.source) for operation in operations], within=call)


def may_run_fused(module: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Tell whether torch may run this call by fused kernels, which a function mode prevents."""
    if isinstance(module, torch.nn.MultiheadAttention):
        # Fused only as self-attention.
        may = module.batch_first and all(value is args[0] for value in args[1:3])
    else:  # with padding, the layers of an encoder get nested tensors
        is_encoder = isinstance(module, torch.nn.TransformerEncoder)
        may = is_encoder and (len(args) > 2 or kwargs.get("src_key_padding_mask") is not None)
    if not may or module.training:
        return False
    return not (torch.is_grad_enabled() and any(parameter.requires_grad for parameter in module.parameters()))


def operation_name(func: Any) -> str:
    """Return the name by which people know a torch function; "" for a function that is no operation."""
    name = getattr(func, "__name__", "")
    if name in ("__get__", "__set__", "__delete__"):
        attribute = getattr(func.__self__, "__name__", "")
        return attribute if name == "__get__" and attribute in _TENSOR_ATTRIBUTES else ""
    return _OPERATORS.get(name, "" if name.startswith("__") else name)


# Files, and whether their frames lie between an operation and the line that asked for it.
_is_passed_through: dict[str, bool] = {}


def _source_line(frame: FrameType | None) -> str:
    """Return file and line of the code that called an operation."""
    while frame is not None:
        file = frame.f_code.co_filename
        passed = _is_passed_through.get(file)
        if passed is None:
            passed = _is_passed_through[file] = file.startswith(PASSED_THROUGH)
        if not passed:
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
