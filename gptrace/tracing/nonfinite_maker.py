"""Find the operation that the NaN or infinities in a model's output come from, in one more run."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from gptrace.measures import Measures
from gptrace.model.distributed_wrappers import class_name
from gptrace.model.quiet_torch import torch
from gptrace.model.user_code_errors import NEVER_USER_CODE, short_place
from gptrace.tracing.operations import Operation
from gptrace.tracing.origins import UPDATES_AVERAGES, OriginTracker, may_write_arguments
from gptrace.tracing.overlap import Region
from gptrace.tracing.recorder import SpanRecorder
from gptrace.tracing.span import Sources
from gptrace.tracing.tensors import find_operands, find_tensors
from gptrace.tracing.unseen import without_function_modes

Tensor = torch.Tensor
Module = torch.nn.Module
# What these return holds whatever was in memory, which is nobody's fault unless it is read.
_UNSET = frozenset({
    "empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided",
})  # fmt: skip
# Operations that write all of their first argument without reading it, whatever the others are.
_OVERWRITE = frozenset({"copy_", "fill_"})


def find_first_maker(module: Module, run: Callable[[], object], kind: str) -> str:
    """Return in words where such numbers in the output of `run` come from; "" if that is unknown.

    `run` calls the module once. `kind` is "NaN" or "Inf". Only operations on the way to the output count: a
    mask may hold infinities that do no harm.
    """
    makers = _FirstMakers(kind)
    recorder = SpanRecorder(module, Measures(ops=True), makers.follow, with_origins=True)
    makers.start(recorder)
    try:
        with recorder:
            output = run()
        maker = makers.of(output, recorder)
        return "" if maker is None else _in_words(maker, recorder, kind)
    finally:
        recorder.release()


class _FirstMaker(NamedTuple):
    """The first operation that made such numbers.

    Where something made them that was not recorded, it is the first operation that took them, and not
    `is_maker`. Of two, the lesser counts. `parameter` is the path of a parameter or buffer that the operation
    got them from, or "".
    """

    is_maker: bool
    is_unset: bool
    time: int
    operation: Operation
    parameter: str


class _FirstMakers:
    """For each operation whose results have such numbers, the first one on the way to it that made some."""

    def __init__(self, kind: str) -> None:
        self._is_wrong = torch.isnan if kind == "NaN" else _is_infinite
        self._made: dict[tuple[int | None, int | None], _FirstMaker] = {}  # by call and number, as in Sources
        # By id: a module whose operations are not recorded may return such a tensor as it is.
        self._tensors: dict[int, tuple[weakref.ref[Tensor], _FirstMaker]] = {}
        self._time = 0
        self._held: set[str] = set()  # paths of parameters and buffers that have such numbers from the start
        self._tracker: OriginTracker | None = None

    def start(self, recorder: SpanRecorder) -> None:
        """Note which parameters and buffers have such numbers before the model runs."""
        self._tracker = recorder.origins
        with without_function_modes():
            for path, module in recorder.paths:
                for name, tensor in (*module._parameters.items(), *module._buffers.items()):
                    if tensor is not None and self._has(tensor):
                        self._held.add(f"{path}.{name}" if path else name)

    def follow(
        self, operation: Operation, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
        result: Any,
    ) -> None:  # fmt: skip
        """Note whether the results have such numbers, and where these come from."""
        self._time += 1
        target = args[0] if operation.name == "setitem_" else result
        outputs = [tensor for _, tensor in find_tensors("", target) if self._has(tensor)]
        if not outputs or operation.parent is None:
            return
        maker = self._first(operation, args, kwargs, outputs)
        self._made[operation.parent.index, operation.parent.operation_count] = maker
        for output in outputs:
            self._tensors[id(output)] = weakref.ref(output), maker

    def _first(
        self, operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Sequence[Tensor]
    ) -> _FirstMaker:
        assert self._tracker is not None
        makers: list[_FirstMaker] = []
        parameter = ""
        inputs = find_operands(args, kwargs)
        sources_now = self._tracker.sources(inputs)
        overwrites, may_write = _overwrites(operation.name, args), may_write_arguments(operation.name, kwargs)
        for (place, tensor), sources, now in zip(inputs, operation.sources, sources_now, strict=True):
            is_read = place.name.partition("[")[0] != "out" and not (overwrites and place.name == "input")
            if not is_read or not self._has(tensor):
                continue
            # A function that updates running averages computes its result without them.
            if now != sources and operation.name in UPDATES_AVERAGES:
                continue
            if sources and (path := sources[0][4]):
                if now == sources or path in self._held:  # else the operation has written such numbers there
                    parameter = parameter or path
                continue
            maker = self._maker(tensor, sources)
            # A tensor that is written into may have got such numbers only now.
            if maker is None and not (may_write and any(tensor is output for output in outputs)):
                maker = _FirstMaker(False, False, self._time, operation, "")
            makers += [maker] if maker is not None else []
        is_unset = operation.name in _UNSET
        return min(makers, default=_FirstMaker(True, is_unset, self._time, operation, parameter))

    def of(self, output: object, recorder: SpanRecorder) -> _FirstMaker | None:
        """Return where such numbers in the output of the outermost call come from."""
        if not recorder.spans:
            return None
        found = zip(find_tensors("", output), recorder.spans[0].output_sources, strict=False)
        wrong = (self._maker(tensor, sources) for (_, tensor), sources in found if self._has(tensor))
        return next(wrong, None)

    def _maker(self, tensor: Tensor, sources: Sources) -> _FirstMaker | None:
        """Return where such numbers in a tensor come from; None where nothing recorded made them."""
        makers = [self._made[source[:2]] for source in sources if source[:2] in self._made]
        if not makers and any(op is None for _, op, *_ in sources):
            known = self._tensors.get(id(tensor))
            makers = [known[1]] if known is not None and known[0]() is tensor else []
        return min(makers, default=None)

    def _has(self, tensor: Tensor) -> bool:
        with suppress(RuntimeError, TypeError):  # tensors whose numbers cannot be read
            if not tensor.is_meta and (tensor.is_floating_point() or tensor.is_complex()):
                return bool(self._is_wrong(tensor).any())
        return False


def _overwrites(name: str, args: tuple[Any, ...]) -> bool:
    """Tell whether an operation writes all of its first argument without reading it."""
    if name == "setitem_":
        target, index, _ = args
        return Region.of(target).is_all(index)
    return name in _OVERWRITE


def _is_infinite(tensor: Tensor) -> Tensor:
    """Tell which numbers are infinite; of real ones those above 0, since a mask may hold the others."""
    return tensor.isinf() if tensor.is_complex() else tensor.isposinf()


def _in_words(maker: _FirstMaker, recorder: SpanRecorder, kind: str) -> str:
    operation = maker.operation
    where = _call_in_words(operation, recorder)
    if maker.parameter:
        return f"{maker.parameter} holds {kind}, and {where} takes it"
    file, _, line = operation.source.rpartition(":")
    if file and not file.startswith(NEVER_USER_CODE):
        place = short_place(file, int(line))
        if maker.is_maker:
            return f"{operation.name} at {place} in {where} is the first to make {kind}"
        return f"{operation.name} at {place} in {where} takes {kind}, and what made it was not recorded"
    if maker.is_maker:
        return f"{operation.name} in {where} is the first to make {kind}"
    return f"{operation.name} in {where} takes {kind}, and what made it was not recorded"


def _call_in_words(operation: Operation, recorder: SpanRecorder) -> str:
    """Return the path, the class and, of several, the number of the call that an operation is in."""
    span = operation.parent
    if span is None:
        return "code outside of the model"
    calls = [other for other in recorder.spans if other.path == span.path]
    number = f", call {calls.index(span) + 1} of {len(calls)}" if len(calls) > 1 else ""
    kind = f"{class_name(span.module)}{number}"
    return f"{span.path} ({kind})" if span.path else f"the model itself ({kind})"
