"""Statistics of what modules return, and which call turned finite inputs into NaN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import get_ident

from gptrace.model.quiet_torch import torch
from gptrace.record import Statistics
from gptrace.tracing.costs import CostMode
from gptrace.tracing.operations import OperationMode
from gptrace.tracing.span import InputState, Span, TensorState
from gptrace.tracing.statistics import is_all_finite, statistics_of
from gptrace.tracing.tensors import find_tensors

Tensor = torch.Tensor


class NanTracker:
    """Takes the statistics of the outputs of `spans`, and finds calls that turn finite inputs into NaN.

    Reuse. A module often returns the very tensor that its last child returned, and taking statistics is the
    most expensive thing a trace does. Invariant: the statistics of the last call that ended are reused for
    a call when both returned one tensor, the same object, in the same `TensorState`, and `work_done` in that
    state is known. Then nothing ran in between that could have changed the tensor:

    - `work_done` adds two counters that only grow. CostMode counts every kernel that torch dispatches, which
      includes those of scripted code; OperationMode counts every torch function called from Python and every
      tensor attribute set, which includes writes without a kernel of their own (`x.numpy()`, `x.apply_`,
      `x.data = y`). Each misses some of the other's, so without both modes `work_done` is None.
    - While a kernel runs (`running_kernels`), the modes do not see what it does inside, for example in a
      custom operator written in Python: `work_done` is None.
    - Modes see only the thread that entered them. In any other thread `work_done` is None. If another thread
      writes to the tensor, the tensor's version counter shows it.
    - In inference mode tensors have no version counter, so a write by another thread goes unnoticed there.
      So does, in any mode, a write that bypasses torch, through NumPy memory that was shared before.

    Blame. Whether an input was finite is checked when the call ends, and only if its output is not. By then
    the call may have overwritten the input; then it counts as finite if an earlier call returned it finite,
    in the state that it had at entry. Where an input has no known state at all, it is checked at entry.
    """

    def __init__(
        self, spans: Sequence[Span], kernels: CostMode | None, operations: OperationMode | None
    ) -> None:
        self._spans = spans
        self._modes = (kernels, operations) if kernels is not None and operations is not None else None
        self._thread = get_ident()
        self._latest: Span | None = None  # the call that ended last

    def record_inputs(self, span: Span, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        """Keep the inputs of a call, to look at them if its output is not finite."""
        plain = len(args) == 1 and type(args[0]) is Tensor and not kwargs
        tensors = find_tensors("", args[0] if plain else (args, kwargs))
        span.input_states = [self._input_state(tensor) for _, tensor in tensors]

    def record_outputs(self, span: Span, tensors: Sequence[Tensor]) -> None:
        """Note the statistics of a call's outputs, and whether it turned finite inputs into NaN or Inf."""
        latest, state = self._latest, self._state(tensors[0]) if len(tensors) == 1 else None
        if (
            latest is not None
            and state == latest.output_state
            and state is not None
            and state.work_done is not None
        ):
            same = latest.output_ref is not None and latest.output_ref() is tensors[0]
            span.statistics = latest.statistics if same else ()
        span.statistics = span.statistics or [statistics_of(tensor) for tensor in tensors]
        span.output_state, self._latest = state, span
        kind = _nonfinite_kind(span.statistics)
        if kind and all(self._was_finite(*input_state) for input_state in span.input_states):
            span.introduced = kind

    def _input_state(self, tensor: Tensor) -> InputState:
        state = self._state(tensor)
        # Without any known state, nothing can tell later whether the call wrote to it: check it now.
        return InputState(tensor, state, is_all_finite(tensor) if state == TensorState() else None)

    def _was_finite(self, tensor: Tensor, state: TensorState, is_finite: bool | None) -> bool:
        """Tell whether a tensor was certainly finite at the entry of the call that has just ended."""
        if is_finite is not None or is_all_finite(tensor):
            return is_finite is not False
        # It is not finite now. If an earlier call returned it finite, in the state that it had at entry, then
        # this call wrote to it.
        return any(
            span.output_ref is not None and span.output_ref() is tensor and span.output_state == state
            and not _nonfinite_kind(span.statistics) and any(span.statistics)
            for span in self._spans
        )  # fmt: skip

    def _state(self, tensor: Tensor) -> TensorState:
        # `_version`: the counter that autograd keeps of in-place writes to a tensor and its views; an access
        # raises for inference tensors.
        try:
            version = None if tensor.is_inference() else tensor._version
        except RuntimeError:  # some tensor types have no counter
            version = None
        if self._modes is None or get_ident() != self._thread:
            return TensorState(None, version)
        kernels, operations = self._modes
        if kernels.running_kernels:
            return TensorState(None, version)
        return TensorState(kernels.kernel_count + operations.call_count, version)


def _nonfinite_kind(statistics: Sequence[Statistics | None]) -> str:
    """Return "NaN" if any of these counts NaN, else "Inf" if any counts an infinity, else ""."""
    known = [tensor_statistics for tensor_statistics in statistics if tensor_statistics is not None]
    if any(tensor_statistics.nan for tensor_statistics in known):
        return "NaN"
    return "Inf" if any(tensor_statistics.infinite for tensor_statistics in known) else ""
