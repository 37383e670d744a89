"""MACs, memory and messages are charged to the open call and to the running operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import get_ident

from gptrace.measures import Measures
from gptrace.model.quiet_torch import torch
from gptrace.record import Traffic
from gptrace.tracing.activation_memory import ActivationMemory
from gptrace.tracing.costs import CostMode
from gptrace.tracing.operations import OperationMode
from gptrace.tracing.span import Span
from gptrace.tracing.spread.kernels import SpreadCostMode
from gptrace.tracing.spread.layout import Layout
from gptrace.tracing.spread.memory import SpreadMemory


class Charges:
    """Charges MACs, memory and messages to the innermost open call and to the current operation.

    `open_spans` are the open calls of each thread, the innermost last. `macs_outside` and `messages_outside`
    count what happens outside of all calls, as in a backward pass.
    """

    def __init__(self, open_spans: Mapping[int, Sequence[Span]], operations: OperationMode | None) -> None:
        self._open_spans = open_spans
        self.operations = operations
        self.macs_outside = self.messages_outside = 0

    def _innermost(self) -> Span | None:
        open_spans = self._open_spans.get(get_ident())
        return open_spans[-1] if open_spans else None

    def add_macs(self, macs: int | None, kernel: str) -> None:
        """Charge the MACs of a kernel; MACs None: its cost is unknown."""
        operation = self.operations.current if self.operations is not None else None
        span = self._innermost()
        if span is None:
            self.macs_outside += macs or 0
        for counter in (span, operation):
            if counter is not None:
                if macs is None:
                    counter.unknown |= {kernel}
                else:
                    counter.macs += macs

    def add_message(self, message: Traffic) -> None:
        """Charge a message between processes."""
        operation = self.operations.current if self.operations is not None else None
        span = self._innermost()
        self.messages_outside += span is None
        for sender in (span, operation):
            if sender is not None:
                sender.traffic = (*sender.traffic, message)

    def note_peak(self, alive: int) -> None:
        """Note the bytes of activations that are alive, if there were never more of them in the call."""
        span = self._innermost()
        if span is not None and alive > span.peak_bytes:
            span.peak_bytes = alive


def kernel_counters(
    module: torch.nn.Module, measures: Measures, charges: Charges, layout: Layout | None
) -> tuple[ActivationMemory | None, CostMode | None]:
    """Return what counts the memory of activations and what counts kernels, as far as these are measured.

    Of a model that is spread as in `layout`, messages are always counted.
    """
    if layout is not None:
        of_part = SpreadMemory(module, charges.note_peak, layout) if measures.memory else None
        return of_part, SpreadCostMode(charges.add_macs, charges.add_message, of_part, layout)
    memory = ActivationMemory(module, charges.note_peak) if measures.memory else None
    counts_kernels = measures.macs or measures.memory
    return memory, CostMode(charges.add_macs, memory) if counts_kernels else None
