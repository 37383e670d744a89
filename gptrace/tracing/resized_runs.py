"""Run the same architecture at other sizes, or a copy of the model with another input, to compare shapes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from gptrace.measures import Measures
from gptrace.model.architecture import Architecture
from gptrace.model.free_memory import check_memory
from gptrace.model.hugging_face import forward_arguments
from gptrace.model.meta_device import meta_copy, without_hooks
from gptrace.model.quiet_torch import torch
from gptrace.tracing.isolation import TimeLimitError, isolated_process_state, time_limit
from gptrace.tracing.operations import Operation
from gptrace.tracing.recorder import SpanRecorder
from gptrace.tracing.span import CallTypes, Span, call_types, numbered_calls

is_lazy = torch.nn.parameter.is_lazy
# The inputs or the outputs of a call: (path, number of the call, "input" or "output"). Of an operation:
# (path, number of the call, position of the operation in it, its name, "input" or "output").
CallSide = tuple[str | int, ...]
TensorKey = tuple[str | int, ...]  # a CallSide and the name of one tensor there
_SMALL_MODEL_BYTES = 64 << 20
# A constructor may loop until a size has a certain value, which it never has in a resized run.
_TIME_LIMIT = 10.0  # seconds


class ForwardPass(NamedTuple):
    """A forward pass to run: its inputs, whether to record operations, and whether it may raise.

    `inputs` are the name, number of axes and dtype of each input tensor, first the ids `[batch, seq_len]`.
    With `may_fail`, as when the real run failed, a run that raises counts as far as it got.
    """

    batch: int
    seq_len: int
    inputs: tuple[tuple[str, int, torch.dtype], ...]
    ops: bool
    may_fail: bool

    def resized(self, sizes: Mapping[str, int]) -> ForwardPass:
        """Return the same pass with the batch and seq_len of `sizes`."""
        return self._replace(batch=sizes["batch"], seq_len=sizes["seq_len"])


class ResizedRun(NamedTuple):
    """The calls of a resized run, and the shape of each tensor in it."""

    types: CallTypes
    shapes: dict[TensorKey, tuple[int, ...]]

    def fits(self, types: CallTypes) -> bool:
        """Tell whether the real run made the same calls, as far as it got."""
        return types == self.types[: len(types)]


@lru_cache(maxsize=16)
def run_resized(
    architecture: Architecture, changes: tuple[tuple[str, int], ...], forward_pass: ForwardPass
) -> ResizedRun | str:
    """Build the architecture with other sizes and run it; return the run, or why it failed.

    `changes` are the keys of the configuration to change, and their values.
    """
    try:
        with isolated_process_state(), time_limit(_TIME_LIMIT):
            return _run(architecture.build(dict(changes)).float().eval(), forward_pass, torch.device("cpu"))
    except TimeLimitError:
        return f"at other sizes the model takes longer than {_TIME_LIMIT:g} seconds"
    except (Exception, SystemExit) as error:  # the user's code may never have run at these sizes
        return f"at other sizes the model raises {type(error).__name__}"


def run_copy_resized(module: torch.nn.Module, forward_pass: ForwardPass) -> ResizedRun | None:
    """Run a copy of the module with other inputs; return None if that fails.

    The copy has its parameters on device meta, where they take no memory, or on the module's device. A small
    model is tried on its own device first, since the first use of device meta takes a second and some code
    fails there.
    """
    first = next(module.parameters(), None)
    with_values = (_copy_with_values, torch.device("cpu") if first is None else first.device)
    on_meta = (meta_copy, torch.device("meta"))
    is_small = _module_bytes(module) < _SMALL_MODEL_BYTES
    for make_copy, device in (with_values, on_meta) if is_small else (on_meta, with_values):
        try:
            with isolated_process_state(), time_limit(_TIME_LIMIT):
                return _run(make_copy(module).eval(), forward_pass, device)
        except (Exception, SystemExit):
            continue
    return None


def _copy_with_values(module: torch.nn.Module) -> torch.nn.Module:
    check_memory(2 * _module_bytes(module), "a copy of the model")
    return without_hooks(copy.deepcopy(module))


def _module_bytes(module: torch.nn.Module) -> int:
    tensors = (*module.parameters(), *module.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors if not is_lazy(tensor))


def _run(model: torch.nn.Module, forward_pass: ForwardPass, device: torch.device) -> ResizedRun:
    sizes = forward_pass.batch, forward_pass.seq_len
    arguments = {}
    for name, axes, dtype in forward_pass.inputs[1:]:  # a mask or positions, [B, T] as the ids
        if axes != 2 or not name.isidentifier():
            raise ValueError(f"cannot make the input {name} at another size")
        arguments[name] = torch.ones(*sizes, dtype=dtype, device=device)
    ids = torch.zeros(*sizes, dtype=torch.int64, device=device)
    # A default device, since code that makes a mask or positions may not name one.
    with torch.device(device), SpanRecorder(model, Measures(ops=forward_pass.ops)) as recorder:
        try:
            model(ids, **arguments, **forward_arguments(model))
        except Exception:
            if not forward_pass.may_fail:
                raise
    run = ResizedRun(call_types(recorder.spans), dict(_shapes(recorder)))
    recorder.release()
    return run


def _shapes(recorder: SpanRecorder) -> Iterator[tuple[TensorKey, tuple[int, ...]]]:
    """Yield the shape of each tensor of each call and of each operation in it."""
    operations = recorder.operations_by_call()
    for span, call in numbered_calls(recorder.spans):
        yield from _shapes_at((span.path, call), span)
        for position, operation in enumerate(operations.get(span, ())):
            yield from _shapes_at((span.path, call, position, operation.name), operation)


def _shapes_at(
    place: tuple[str | int, ...], span_or_operation: Span | Operation
) -> Iterator[tuple[TensorKey, tuple[int, ...]]]:
    for side, infos in (("input", span_or_operation.inputs), ("output", span_or_operation.outputs)):
        for info in infos:
            yield (*place, side, info.name), info.shape
