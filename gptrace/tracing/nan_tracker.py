"""The numbers that pass between calls: their statistics, and where the first NaN comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import get_ident

from gptrace.model.quiet_torch import torch
from gptrace.record import Statistics
from gptrace.tracing.costs import CostMode
from gptrace.tracing.operations import OperationMode
from gptrace.tracing.span import Given, Span, TensorState
from gptrace.tracing.statistics import is_all_finite, statistics_of
from gptrace.tracing.tensors import find_tensors

Tensor = torch.Tensor


class Numbers:
    """Looks at what the calls of `spans` return, and tells which of them made NaN of finite numbers.

    A module often returns what its last part made. Where nothing at all was done in between, the numbers of
    the part are its own; it takes both modes, of kernels and of functions, to know that. They know only of
    their own thread: another one that writes to a tensor just then is found by the tensor's count of writes,
    which there is none of in inference mode.
    """

    def __init__(
        self, spans: Sequence[Span], kernels: CostMode | None, operations: OperationMode | None
    ) -> None:
        self._spans = spans
        self._modes = (kernels, operations) if kernels is not None and operations is not None else None
        self._thread = get_ident()
        self._latest: Span | None = None

    def opened(self, span: Span, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        """Remember what a call is given, to look at it where something goes wrong."""
        plain = len(args) == 1 and type(args[0]) is Tensor and not kwargs
        tensors = find_tensors("", args[0] if plain else (args, kwargs))
        span.given = [self._given(tensor) for _, tensor in tensors]

    def closed(self, span: Span, tensors: Sequence[Tensor]) -> None:
        """Note the statistics of what a call returned, and what it made of finite numbers."""
        latest, moment = self._latest, self._moment(tensors[0]) if len(tensors) == 1 else None
        if latest is not None and moment == latest.left and moment is not None and moment.done is not None:
            same = latest.output is not None and latest.output() is tensors[0]
            span.statistics = latest.statistics if same else ()
        span.statistics = span.statistics or [statistics_of(tensor) for tensor in tensors]
        span.left, self._latest = moment, span
        kind = _spoiled(span.statistics)
        if kind and all(self._was_finite(*given) for given in span.given):
            span.made = kind

    def _given(self, tensor: Tensor) -> Given:
        moment = self._moment(tensor)
        # Where nothing tells later whether the call wrote to it, it is looked at before.
        return Given(tensor, moment, is_all_finite(tensor) if moment == TensorState() else None)

    def _was_finite(self, tensor: Tensor, moment: TensorState, is_finite: bool | None) -> bool:
        """Tell whether a tensor surely was finite when it was given to the call that has just ended."""
        if is_finite is not None or is_all_finite(tensor):
            return is_finite is not False
        # It was if it left another call so, and stayed as it was until this one: then this one wrote to it.
        return any(
            span.output is not None and span.output() is tensor and span.left == moment
            and not _spoiled(span.statistics) and any(span.statistics)
            for span in self._spans
        )  # fmt: skip

    def _moment(self, tensor: Tensor) -> TensorState:
        try:
            version = None if tensor.is_inference() else tensor._version
        except RuntimeError:  # some do not count
            version = None
        if self._modes is None or get_ident() != self._thread:
            return TensorState(None, version)
        kernels, operations = self._modes
        # Nobody sees what is done inside of somebody's own kernel.
        return TensorState(None if kernels.running else kernels.done + operations.done, version)


def _spoiled(statistics: Sequence[Statistics | None]) -> str:
    """Return what numbers that are none are among these: "NaN", "Inf", or nothing."""
    found = [one for one in statistics if one is not None]
    return "NaN" if any(one.nan for one in found) else "Inf" if any(one.infinite for one in found) else ""
