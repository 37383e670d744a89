"""Record a forward pass with its operations, and which of its tensors have no lane for each token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gptrace.measures import Measures
from gptrace.model.quiet_torch import torch
from gptrace.tracing.line_recorder import LineRecorder
from gptrace.tracing.module_calls import Arguments, Keywords, WatchedModule
from gptrace.tracing.operations import Operation
from gptrace.tracing.recorder import SpanRecorder
from gptrace.tracing.span import Span
from gptrace.tracing.token_lanes import MixingView, TokenLanes


class LaneRecorder(SpanRecorder):
    """Follows the axes of tokens as well; `seq_len` must differ from the other sizes of the model."""

    def __init__(self, module: torch.nn.Module, seq_len: int, lines: LineRecorder | None = None) -> None:
        self.lanes = TokenLanes(seq_len, (*module.parameters(), *module.buffers()))
        if lines is not None:
            lines.mixed = self.lanes.mixed
        super().__init__(module, Measures(ops=True), self._follow, lines)

    def _follow(
        self, operation: Operation, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
        result: Any,
    ) -> None:  # fmt: skip
        path = "" if operation.parent is None else operation.parent.path
        view = MixingView(path, operation.name, operation.source)
        operation.mixed = self.lanes.mixed("input", operation.inputs, (*args, *kwargs.values()))
        self.lanes.follow(operation.name, func, args, kwargs, result, view)
        operation.mixed |= self.lanes.mixed("output", operation.outputs, result)

    def _open(self, thread: int, watched: WatchedModule, args: Arguments, kwargs: Keywords) -> Span:
        span = super()._open(thread, watched, args, kwargs)
        span.mixed = self.lanes.mixed("input", span.inputs, (*args, *kwargs.values()))
        return span

    def _record_outputs(self, span: Span, output: object) -> None:
        super()._record_outputs(span, output)
        span.mixed |= self.lanes.mixed("output", span.outputs, output)
