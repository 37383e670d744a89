"""Find the operation that the NaN or infinities in a model's output come from, in one more run."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gptrace.measures import Measures
from gptrace.model.distributed_wrappers import class_name
from gptrace.model.quiet_torch import torch
from gptrace.model.user_code_errors import NEVER_USER_CODE, short_place
from gptrace.tracing.operations import Operation
from gptrace.tracing.recorder import SpanRecorder
from gptrace.tracing.tensors import find_tensors

Tensor = torch.Tensor
Module = torch.nn.Module


def find_origin(module: Module, run: Callable[[], object], kind: str) -> str:
    """Return in words where such numbers in the output of `run` come from; "" if that is unknown.

    `run` calls the module once. `kind` is "NaN" or "Inf". Only operations on the way to the output count: a
    mask may hold infinities that do no harm.
    """
    origins = _Origins(kind)
    recorder = SpanRecorder(module, Measures(ops=True), origins.follow)
    try:
        with recorder:
            output = run()
        operation = origins.of(output)
        if operation is None:
            return ""
        return _in_words(operation, origins.constant(operation, module), recorder, kind)
    finally:
        recorder.release()


class _Origins:
    """For each tensor with such numbers, the first operation on the way to it that made some."""

    def __init__(self, kind: str) -> None:
        self._is_wrong = torch.isnan if kind == "NaN" else torch.isposinf
        self._made: dict[int, tuple[weakref.ref[Tensor], int, Operation]] = {}
        self._constants: dict[Operation, list[Tensor]] = {}
        self._count = 0

    def follow(
        self, operation: Operation, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
        result: Any,
    ) -> None:  # fmt: skip
        """Note which results have such numbers, and where these come from."""
        self._count += 1
        target = args[0] if operation.name == "setitem_" else result
        outputs = [tensor for _, tensor in find_tensors("", target) if self._has(tensor)]
        if not outputs:
            return
        inputs = [tensor for _, tensor in find_tensors("", (*args, *kwargs.values()))]
        known = [origin for tensor in inputs if (origin := self._known(tensor)) is not None]
        first = min(known, key=lambda origin: origin[0], default=(self._count, operation))
        if first[1] is operation:
            # An input that was written into got such numbers only now.
            others = [tensor for tensor in inputs if all(tensor is not output for output in outputs)]
            self._constants[operation] = [tensor for tensor in others if self._has(tensor)]
        for output in outputs:
            self._made[id(output)] = weakref.ref(output), *first

    def of(self, output: object) -> Operation | None:
        """Return the operation that such numbers in an output come from."""
        known = (self._known(tensor) for _, tensor in find_tensors("", output))
        return next((origin[1] for origin in known if origin is not None), None)

    def constant(self, operation: Operation, module: Module) -> str:
        """Return the name of a parameter or buffer with such numbers that the operation takes, or ""."""
        held = self._constants.get(operation, [])
        tensors = (*module.named_parameters(), *module.named_buffers())
        return next((name for name, tensor in tensors if any(tensor is other for other in held)), "")

    def _known(self, tensor: Tensor) -> tuple[int, Operation] | None:
        known = self._made.get(id(tensor))
        return known[1:] if known is not None and known[0]() is tensor else None

    def _has(self, tensor: Tensor) -> bool:
        with suppress(RuntimeError, TypeError):  # tensors whose numbers cannot be read
            return tensor.is_floating_point() and not tensor.is_meta and bool(self._is_wrong(tensor).any())
        return False


def _in_words(operation: Operation, constant: str, recorder: SpanRecorder, kind: str) -> str:
    where = _call_in_words(operation, recorder)
    if constant:
        return f"{constant} holds {kind}, and {where} takes it"
    file, _, line = operation.source.rpartition(":")
    if not file or file.startswith(NEVER_USER_CODE):
        return f"{operation.name} in {where} is the first to make {kind}"
    return f"{operation.name} at {short_place(file, int(line))} in {where} is the first to make {kind}"


def _call_in_words(operation: Operation, recorder: SpanRecorder) -> str:
    """Return the path, the class and, of several, the number of the call that an operation is in."""
    span = operation.parent
    if span is None:
        return "code outside of the model"
    calls = [other for other in recorder.spans if other.path == span.path]
    number = f", call {calls.index(span) + 1} of {len(calls)}" if len(calls) > 1 else ""
    kind = f"{class_name(span.module)}{number}"
    return f"{span.path} ({kind})" if span.path else f"the model itself ({kind})"
