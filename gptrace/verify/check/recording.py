"""Record a forward pass operation by operation, with the values that each one takes and makes.

Operations are those that the source calls, as in `gptrace.tracing.operations`. A value keeps its tensor as it
was at that time, and the operations that made it: together they are the data flow of the run.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from gptrace.errors import MemoryNeededError
from gptrace.model.quiet_torch import torch
from gptrace.model.tensor_versions import version_of
from gptrace.tracing.arguments import signature_of
from gptrace.tracing.operations import operation_name
from gptrace.tracing.tensors import find_tensors
from gptrace.tracing.undisturbed import run_uncompiled
from gptrace.verify.check.places import find_place
from gptrace.verify.check.recorded_run import RecordedOperation, RecordedRun, Value, ValueKey
from gptrace.verify.check.transforms import TRANSFORMED, is_in_transform, unseen, whole
from gptrace.wording import readable_bytes

Tensor = torch.Tensor
Module = torch.nn.Module
# A long text through a model of common size would take more memory than most machines have.
_MOST_BYTES = 2 << 30
_SHARING = ("numpy", "__array__", "__dlpack__")  # their result has the memory of the tensor
_LEAVING = ("tolist", "item", "numpy", "__float__", "__int__", "__array__")


class Recorder(torch.overrides.TorchFunctionMode):
    """Fills a RecordedRun while it is entered.

    `module` is the model that runs, None while one is built. `previous` recorded the run before, of which the
    model may have kept tensors.
    """

    def __init__(self, module: Module | None = None, previous: Recorder | None = None) -> None:
        super().__init__()
        self.run = RecordedRun()
        self._previous = previous
        self._origins = {} if module is None else {id(tensor): name for name, tensor in tensors_of(module)}
        # By the id of a tensor: the tensor, so that the id stays its own, its version and its value.
        self._known: dict[int, tuple[Tensor, int | None, Value]] = {}
        self._written: dict[int, int] = {}  # storage → the last operation that wrote into it
        self._transformed: dict[int, RecordedOperation] = {}  # storage → what made it in a transform
        self._shared: set[int] = set()  # storages that code outside of torch may write into
        # Tensors with a gradient that neither the module holds nor an operation made.
        self.strays: list[Tensor] = []
        self._bytes = 0  # of all values
        self._stack: list[tuple[str, int]] = [("", 1)]
        self._calls: Counter[str] = Counter()
        self._occurrences: Counter[tuple[object, ...]] = Counter()

    @contextmanager
    def on(self, module: Module) -> Iterator[None]:
        """Follow the calls of the submodules in the block."""
        handles = []
        for path, submodule in module.named_modules(remove_duplicate=True):
            if not isinstance(submodule, torch.jit.ScriptModule):
                handles += [
                    submodule.register_forward_pre_hook(
                        lambda called, args, kwargs, path=path: self._enter(path, called, args, kwargs),
                        with_kwargs=True,
                    ),
                    submodule.register_forward_hook(lambda _, __, ___: self._leave(), always_call=True),
                ]
        try:
            with run_uncompiled(), self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # While this runs, torch has taken the mode off its stack: calls in here are not recorded.
        kwargs = kwargs or {}
        # Dynamo traces this method, too; what it makes is seen as it runs.
        if torch.compiler.is_dynamo_compiling():
            return func(*args, **kwargs)
        name = operation_name(func) or _attribute_name(func)
        if not name or name in _LEAVING:
            self._shared |= {_storage(whole(args[0]))} if func.__name__ in _SHARING else set()
            origin = self._origins.get(id(args[0])) if args and func.__name__ in _LEAVING else None
            if origin is not None:
                self.run.left_torch.setdefault(origin, find_place(sys._getframe(1)))
            return func(*args, **kwargs)
        if is_in_transform():
            name = TRANSFORMED
        place = find_place(sys._getframe(1))
        path, call = self._stack[-1]
        line = (path, call, place.line, name)
        self._occurrences[line] += 1
        key = (*line, self._occurrences[line])
        with unseen():
            inputs = self._inputs(key, args, kwargs)
            positional, named = _with_values((args, kwargs), inputs)
            before = {id(tensor): version_of(tensor) for tensor, _ in inputs}
            operation = RecordedOperation(
                len(self.run.operations), key, func, name, path, place,
                tuple(value for _, value in inputs), positional, named,
            )  # fmt: skip
        try:
            result = func(*args, **kwargs)
        except Exception:
            self.run.failed = operation
            raise
        with unseen():
            self._note_outputs(operation, result, [tensor for tensor, _ in inputs], before)
            if operation.outputs:
                self.run.operations.append(operation)
        return result

    def value_of(self, tensor: Tensor) -> Value | None:
        """Return the value of a tensor that torch made, as it is now; None for an unknown one."""
        known = self._known.get(id(tensor))
        if known is None:
            return self._left_transform(tensor)
        if _storage(tensor) in self._shared and not _is_same(tensor, known[2].tensor):
            return None
        return known[2] if known[1] == version_of(tensor) else self._seen_again(tensor, known[2])

    def last_write(self, tensor: Tensor) -> int | None:
        """Return the number of the last operation that wrote into the memory of a tensor, or None."""
        return self._written.get(_storage(tensor))

    def made_with_gradient(self) -> dict[ValueKey, Tensor]:
        """Return the tensors that operations made and that have a gradient, as they are now."""
        known = self._known.values()
        return {value.key: tensor for tensor, _, value in known if value.producers and tensor.requires_grad}

    def _inputs(
        self, key: tuple[object, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[tuple[Tensor, Value]]:
        tensors = [whole(tensor) for _, tensor in find_tensors("input", (*args, *kwargs.values()))]
        inputs = []
        for slot, tensor in enumerate(tensors):
            value = self.value_of(tensor)
            if value is None:
                origin = self._origins.get(id(tensor), "")
                self.strays += [tensor] * (tensor.requires_grad and tensor.is_leaf and not origin)
                value = Value(
                    ValueKey(key, "in", slot), self._snapshot(tensor, not origin), (), origin,
                    tensor.requires_grad
                )  # fmt: skip
                value.kept = self._kept(tensor)
                self._known[id(tensor)] = tensor, version_of(tensor), value
            if tensor.grad_fn is not None and value.maker is None:
                value.maker = getattr(tensor.grad_fn, "_forward_cls", None)
            inputs.append((tensor, value))
        return inputs

    def _kept(self, tensor: Tensor) -> RecordedOperation | None:
        """Return the operation of the run before that made a tensor, or None."""
        if self._previous is None or (known := self._previous._known.get(id(tensor))) is None:
            return None
        producers = known[2].producers
        return self._previous.run.operations[producers[-1]] if producers else None

    def _left_transform(self, tensor: Tensor) -> Value | None:
        """Return the value of a tensor that torch.vmap has returned: a view of what was made in there."""
        operation = self._transformed.get(_storage(tensor)) if self._transformed else None
        if operation is None:
            return None
        self._occurrences[operation.key] += 1
        key = ValueKey((*operation.key, self._occurrences[operation.key]), "in", 0)
        value = Value(key, self._snapshot(tensor, True), (operation.number,), "", tensor.requires_grad)
        self._known[id(tensor)] = tensor, version_of(tensor), value
        return value

    def _seen_again(self, tensor: Tensor, old: Value) -> Value:
        """Return the value of a tensor that was written into through another name, such as a view of it."""
        writer = self._written.get(_storage(tensor))
        if writer is None:
            return old
        producers = tuple(dict.fromkeys((*old.producers, writer)))
        key = ValueKey((*old.key.operation, writer), "in", old.key.slot)
        value = Value(key, self._snapshot(tensor, True), producers, old.origin, tensor.requires_grad)
        self._known[id(tensor)] = tensor, version_of(tensor), value
        return value

    def _note_outputs(
        self,
        operation: RecordedOperation,
        result: Any,
        inputs: list[Tensor],
        before: Mapping[int, int | None],
    ) -> None:
        written = [tensor for tensor in inputs if version_of(tensor) != before[id(tensor)]]
        outputs = [whole(tensor) for _, tensor in find_tensors("output", result)]
        outputs += [tensor for tensor in written if all(tensor is not output for output in outputs)]
        values = []
        for slot, tensor in enumerate(outputs):
            if id(tensor) in self._origins and all(tensor is not other for other in written):
                continue
            value = Value(
                ValueKey(operation.key, "out", slot), self._snapshot(tensor, True), (operation.number,),
                "", tensor.requires_grad,
            )  # fmt: skip
            self._known[id(tensor)] = tensor, version_of(tensor), value
            if any(tensor is other for other in written):
                self._written[_storage(tensor)] = operation.number
            if operation.name == TRANSFORMED:
                self._transformed[_storage(tensor)] = operation
            values.append(value)
        operation.outputs = tuple(values)

    def _snapshot(self, tensor: Tensor, may_change: bool) -> Tensor:
        """Return a tensor as it is now; raise a MemoryNeededError where that is too much."""
        if not may_change:
            return tensor.detach()
        self._bytes += tensor.numel() * tensor.element_size()
        if self._bytes > _MOST_BYTES:
            problem = f"what its operations make of so many tokens is more than {readable_bytes(_MOST_BYTES)}"
            raise MemoryNeededError(problem, "check the model at a smaller size")
        return tensor.detach().clone()

    def _enter(self, path: str, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        with suppress(TypeError, ValueError):
            bound = signature_of(module.forward).bind(*args, **kwargs)
            bound.apply_defaults()
            self.run.given[path] = {
                name: value is not None and value is not False for name, value in bound.arguments.items()
            }
        self._calls[path] += 1
        self._stack.append((path, self._calls[path]))
        self.run.called.append(path)
        if path not in self.run.places_of_calls:
            self.run.places_of_calls[path] = find_place(sys._getframe(1))

    def _leave(self) -> None:
        self._stack.pop()


def tensors_of(module: Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters, the buffers and the tensors in plain attributes, with their names."""
    for path, submodule in module.named_modules():
        for name, tensor in vars(submodule).items():
            if isinstance(tensor, Tensor):
                yield f"{path}.{name}".removeprefix("."), tensor
    yield from module.named_parameters()
    yield from module.named_buffers()


def _attribute_name(func: Any) -> str:
    if getattr(func, "__name__", "") != "__get__":
        return ""
    attribute = getattr(func.__self__, "__name__", "")
    return attribute if attribute == "data" else ""


def _is_same(tensor: Tensor, other: Tensor) -> bool:
    return torch.equal(tensor, other) or torch.equal(tensor.nan_to_num(0.5), other.nan_to_num(0.5))


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _with_values(arguments: Any, inputs: list[tuple[Tensor, Value]]) -> Any:
    """Return a copy of some arguments with the Value of each tensor in its place."""
    values = {id(tensor): value for tensor, value in inputs}

    def replaced(item: Any) -> Any:
        if isinstance(item, Tensor):
            return values.get(id(whole(item)), item)
        if isinstance(item, tuple | list):
            return tuple(replaced(part) for part in item)
        if isinstance(item, dict):
            return {key: replaced(part) for key, part in item.items()}
        return item

    return replaced(arguments)
