"""Record a forward pass with its operations, and which of its tensors have no lane for each token."""

from __future__ import annotations

from typing import Any

from gptrace.measures import Measures
from gptrace.model.quiet_torch import torch
from gptrace.tracing.recorder import SpanRecorder
from gptrace.tracing.span import Span
from gptrace.tracing.token_lanes import TokenLanes


class LaneRecorder(SpanRecorder):
    """Follows the axes of tokens as well; `seq_len` must differ from the other sizes of the model."""

    def __init__(self, module: torch.nn.Module, seq_len: int) -> None:
        self.lanes = TokenLanes(seq_len, (*module.parameters(), *module.buffers()))
        super().__init__(module, Measures(ops=True), self.lanes)

    def _open_span(self, module: torch.nn.Module, args: tuple[object, ...], kwargs: Any) -> None:
        count = len(self._begun)
        super()._open_span(module, args, kwargs)
        for span in self._begun[count:]:
            span.mixed = self.lanes.mixed("input", span.inputs, (*args, *kwargs.values()))

    def _record_outputs(self, span: Span, output: object) -> None:
        super()._record_outputs(span, output)
        span.mixed |= self.lanes.mixed("output", span.outputs, output)
