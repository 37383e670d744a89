"""Statistics of the outputs of modules, and the calls that turn finite inputs into NaN."""

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

    **When statistics are reused.** A module often returns the very tensor that its last child returned, and
    statistics are the most expensive part of a trace. Invariant: a call reuses the statistics of the call
    that ended just before it if and only if each returned one tensor, the same object, in the same
    `TensorState`, with a known `work_done`. Then nothing that torch can see has run between the two ends:

    - `work_done` is the sum of two counters that only grow. CostMode counts every kernel that torch runs,
      those of scripted code included. OperationMode counts every torch function called from Python and every
      tensor attribute that is set, and so also writes without a kernel (`x.numpy()`, `x.apply_(f)`,
      `x.data = y`). Neither sees everything, so `work_done` is known only while both modes are entered.
    - The modes do not see inside a kernel that runs (`running_kernels`), such as a custom operator that calls
      modules, and OperationMode sees nothing while it is suspended: `work_done` is unknown there.
    - The modes see only the thread that entered them: `work_done` is unknown in any other. A write by another
      thread increases the tensor's version counter, and so the states differ.

    Two writes go unnoticed: by another thread in inference mode, where tensors have no version counter, and
    through NumPy memory that was shared with the tensor before the child returned it.

    **Which call introduced NaN.** If an output is not finite, the inputs are checked when the call ends. The
    call may have overwritten an input by then. Such an input still counts as finite if an earlier call
    returned it finite, in the state in which this call got it. An input without any known state is checked
    before the call instead.
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
        is_known = state is not None and state.work_done is not None
        if is_known and latest is not None and state == latest.output_state and latest.returned(tensors[0]):
            span.statistics = latest.statistics
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
            span.returned(tensor) and span.output_state == state
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
        if self._modes is not None and get_ident() == self._thread:
            kernels, operations = self._modes
            if not kernels.running_kernels and not operations.is_suspended:
                return TensorState(kernels.kernel_count + operations.call_count, version)
        return TensorState(None, version)


def _nonfinite_kind(statistics: Sequence[Statistics | None]) -> str:
    """Return "NaN" if any of these counts NaN, else "Inf" if any counts an infinity, else ""."""
    if any(of_tensor.nan for of_tensor in statistics if of_tensor is not None):
        return "NaN"
    return "Inf" if any(of_tensor.infinite for of_tensor in statistics if of_tensor is not None) else ""
