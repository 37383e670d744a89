"""Run a model again at other sizes, or with another input, out of everybody's sight."""

from __future__ import annotations

import copy
import ctypes
import logging
import random
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import lru_cache
from io import StringIO
from typing import NamedTuple

from gptrace.measures import Measures
from gptrace.model.architecture import Architecture
from gptrace.model.hugging_face import forward_arguments
from gptrace.model.memory import check_memory
from gptrace.model.meta_device import meta_copy, without_hooks
from gptrace.model.quiet_torch import torch
from gptrace.tracing.recorder import SpanRecorder
from gptrace.tracing.span import Span

Shape = tuple[int, ...]
# Where a tensor was seen: path, number of the call, of its operations which one and its name, and which side.
Where = tuple[str | int, ...]
Key = tuple[str | int, ...]  # the same, and the name of the tensor there
Types = tuple[tuple[str, str], ...]  # path and class of each call, in order
# Of each tensor that the forward pass was given: its name, how many axes it has, its dtype.
Inputs = tuple[tuple[str, int, torch.dtype], ...]

_SMALL = 64 << 20  # bytes
_PATIENCE = 10.0  # seconds: a constructor may loop until a size is one that it never gets


class ResizedRun(NamedTuple):
    """What a run at other sizes showed: its calls, and the shape of each tensor of each call, by name."""

    types: Types
    shapes: dict[Key, Shape]

    def fits(self, types: Types) -> bool:
        """Tell whether a forward pass made the same calls, as far as it came."""
        return types == self.types[: len(types)]


@lru_cache(maxsize=16)
def run_resized(
    architecture: Architecture,
    changes: tuple[tuple[str, int], ...],
    batch: int,
    seq_len: int,
    inputs: Inputs,
    ops: bool,
    may_fail: bool,
) -> ResizedRun | str:
    """Build and run a twin; return what it showed, or why it could not be had.

    `may_fail`: the real run raised, so what the twin showed until it raises will do.
    """
    try:
        with _in_private(), _time_limit(_PATIENCE):
            twin = architecture.build(dict(changes)).float().eval()
            return _run(twin, batch, seq_len, inputs, torch.device("cpu"), ops, may_fail)
    except (Exception, SystemExit) as error:  # anybody's code, at sizes that it may never have been tried at
        return f"at other sizes the model raises {type(error).__name__}"


def run_copy_resized(
    module: torch.nn.Module, batch: int, seq_len: int, inputs: Inputs, ops: bool, may_fail: bool
) -> ResizedRun | str:
    """Run a copy of the module with another input: without numbers if that works, else with them."""
    first = next(module.parameters(), None)
    whole = (_whole_copy, torch.device("cpu") if first is None else first.device)
    hollow = (meta_copy, torch.device("meta"))
    reason = ""
    # Device meta takes a second to get going, and some code cannot run there.
    for copied, device in (whole, hollow) if _bytes(module) < _SMALL else (hollow, whole):
        try:
            with _in_private(), _time_limit(_PATIENCE):
                return _run(copied(module).eval(), batch, seq_len, inputs, device, ops, may_fail)
        except (Exception, SystemExit) as error:
            reason = f"the model raises {type(error).__name__} when its input has another shape"
    return reason


def _whole_copy(module: torch.nn.Module) -> torch.nn.Module:
    check_memory(2 * _bytes(module), "a copy of the model")
    return without_hooks(copy.deepcopy(module))


def _bytes(module: torch.nn.Module) -> int:
    held = (*module.parameters(), *module.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in held if not _is_lazy(tensor))


_is_lazy = torch.nn.parameter.is_lazy


def _run(
    twin: torch.nn.Module,
    batch: int,
    seq_len: int,
    inputs: Inputs,
    device: torch.device,
    ops: bool,
    may_fail: bool,
) -> ResizedRun:
    given = {}
    for name, axes, dtype in inputs[1:]:  # a mask, positions: anything that is as long as the ids
        if axes != 2 or not name.isidentifier():
            raise ValueError(f"no way to make {name} at another size")
        given[name] = torch.ones(batch, seq_len, dtype=dtype, device=device)
    # A default device, since code that makes a mask or positions may not say where.
    ids = torch.zeros(batch, seq_len, dtype=torch.int64, device=device)
    with torch.device(device), SpanRecorder(twin, Measures(ops=ops)) as recorder:
        try:
            twin(ids, **given, **forward_arguments(twin))
        except Exception:
            if not may_fail:
                raise
    shapes = {
        (span.path, call, side, one.name): one.shape
        for span, call in numbered(recorder.spans)
        for side, seen in (("input", span.inputs), ("output", span.outputs))
        for one in seen
    }
    showed = ResizedRun(types_of(recorder.spans), shapes | _shapes_of_operations(recorder))
    recorder.forget()
    return showed


def _shapes_of_operations(recorder: SpanRecorder) -> dict[Key, Shape]:
    found: dict[Key, Shape] = {}
    places = {span: (span.path, call) for span, call in numbered(recorder.spans)}
    ordinals: Counter[Span] = Counter()
    for operation in recorder.operations.operations if recorder.operations is not None else ():
        parent = operation.parent
        if parent is None:
            continue
        for side, seen in (("input", operation.inputs), ("output", operation.outputs)):
            for one in seen:
                found[(*places[parent], ordinals[parent], operation.name, side, one.name)] = one.shape
        ordinals[parent] += 1
    return found


@contextmanager
def _in_private() -> Iterator[None]:
    """Leave no trace: the caller's random numbers, modes, default device, global hooks, streams and logs."""
    nowhere = StringIO()
    plain_random, quieted = random.getstate(), logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            torch.random.fork_rng(devices=[]),
            torch.device("cpu"),
            torch.inference_mode(),
            _no_global_hooks(),
            redirect_stdout(nowhere),
            redirect_stderr(nowhere),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(plain_random)
        logging.disable(quieted)


class _TooLongError(Exception):
    """A twin took longer than anybody wants to wait for names."""


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise _TooLongError in the block when it takes longer: in Python code, at its next step."""
    thread, lock = threading.get_ident(), threading.Lock()
    state = {"done": False, "late": False}

    def stop() -> None:
        with lock:
            if not state["done"]:
                state["late"] = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread), ctypes.py_object(_TooLongError)
                )

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            state["done"] = True
        timer.cancel()
        if state["late"]:
            with suppress(_TooLongError):  # where it is still on its way, it shall arrive here
                time.sleep(0.01)


@contextmanager
def _no_global_hooks() -> Iterator[None]:
    """Put away the hooks that somebody registered on all modules: they would see calls that are none."""
    kinds = [torch.nn.modules.module._global_forward_pre_hooks, torch.nn.modules.module._global_forward_hooks]
    kept = [dict(hooks) for hooks in kinds]
    for hooks in kinds:
        hooks.clear()
    try:
        yield
    finally:
        for hooks, before in zip(kinds, kept, strict=True):
            hooks.update(before)


def types_of(spans: Sequence[Span]) -> Types:
    """Return path and class of each call, in order."""
    return tuple((span.path, type(span.module).__name__) for span in spans)


def numbered(spans: Sequence[Span]) -> Iterator[tuple[Span, int]]:
    """Yield each span with the number of its call: 1 for the first call of that path."""
    calls: dict[str, int] = {}
    for span in spans:
        calls[span.path] = calls.get(span.path, 0) + 1
        yield span, calls[span.path]
