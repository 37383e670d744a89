"""Find the shapes and the costs of a spread model as a whole, after its calls are recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from gptrace.measures import Measures
from gptrace.model.architecture import Architecture
from gptrace.model.quiet_torch import torch
from gptrace.record import Cost, OpCall
from gptrace.tracing.costs import costs_with_children
from gptrace.tracing.operations import Operation
from gptrace.tracing.recorder import SpanRecorder
from gptrace.tracing.span import Span
from gptrace.tracing.spread.here import here_of_operation
from gptrace.tracing.spread.layout import Layout
from gptrace.tracing.spread.twin import whole_twin
from gptrace.tracing.spread.whole_pass import MeshDims, Pass, may_be_whole, pair, run_whole

Module = torch.nn.Module
_WITHOUT_TWIN = (
    "the whole model could not be run on device meta: its costs are missing, and a shape without a local "
    "shape is that of this process"
)
_WITHOUT_PEAKS = (
    "the peak memory of the whole is missing: device meta, where it runs, has no kernels for fused attention"
)


class SpreadFacts(NamedTuple):
    """How a model is spread, its twin on device meta if it has one, and notes on what could not be found.

    `costs` are those of the calls of the twin, by the calls that they stand for. `has_peaks` tells whether
    the twin takes as much memory as the model would: device meta has no kernels for fused attention, so there
    the twin makes a tensor of all attention weights.
    """

    layout: Layout
    twin: Module | None
    costs: dict[Span, Cost]
    notes: tuple[str, ...]
    has_peaks: bool

    def measured(self, span: Span, measures: Measures) -> tuple[int | None, tuple[str, ...], int | None]:
        """Return the MACs, kernels of unknown cost and peak memory of a call as a whole, where known."""
        cost = self.costs.get(span)
        if cost is None or span.twin is None:
            return None, (), None
        peak = span.twin.peak_bytes if measures.memory and self.has_peaks else None
        return (cost.macs, cost.unknown, peak) if measures.macs else (None, (), peak)

    def measured_op(self, operation: Operation, op: OpCall, measures: Measures) -> OpCall:
        """Return the record of an operation with its costs as a whole, where known, and on this process."""
        whole = operation.twin if self.layout.work_dims else operation
        here = here_of_operation(operation, measures)
        if whole is None or not measures.macs:
            return replace(op, here=here)
        return replace(op, macs=whole.macs, macs_unknown=tuple(sorted(whole.unknown)), here=here)


def understand_spread(
    recorder: SpanRecorder,
    architecture: Architecture | None,
    whole: Module | None,
    *,
    needs_twin: bool,
    may_run: bool,
) -> SpreadFacts | None:
    """Give the recorded tensors their whole shapes, and the calls their twins; None for an unspread model.

    `whole` is a copy of the model on device meta from before it was spread, if there is one. `needs_twin`
    asks for a twin also where the model alone tells what the whole is; a twin is made and run only if
    `may_run`.
    """
    layout, parameters = recorder.layout, recorder.parameters
    if layout is None or parameters is None:
        return None
    needs_twin = may_run and (needs_twin or bool(layout.work_dims))
    twin = whole_twin(recorder.module, parameters.whole, architecture, whole) if needs_twin else None
    mesh, roots = layout.mesh, {root.span: root for root in recorder.root_calls}
    dims = MeshDims({name: mesh.dims[name] for name in layout.work_dims}, mesh.coordinate)
    operations, is_known = recorder.operations_by_call(), True
    costs: dict[Span, Cost] = {}
    for root, spans in _passes(recorder.spans).items():
        of_part = Pass(spans, operations)
        of_whole = run_whole(twin.module, roots[root], recorder.measures) if twin and root in roots else None
        if twin and of_whole is not None and twin.is_of_spread and not may_be_whole(of_part, of_whole, dims):
            of_whole = twin = None
        is_known &= of_whole is not None
        pair(of_part, of_whole, dims)
        if of_whole is not None and not root.failed:
            of_twins = costs_with_children(of_whole.spans)
            costs |= {span: of_twins[span.twin.index] for span in spans if span.twin is not None}
    notes = [_WITHOUT_TWIN] * bool(layout.work_dims and not is_known)
    has_peaks = recorder.costs is None or not recorder.costs.has_run_fused_attention
    if costs and recorder.measures.memory and layout.work_dims and not has_peaks:
        notes.append(_WITHOUT_PEAKS)
    outside = recorder.charges.messages_outside
    if outside:
        notes.append(f"{outside:,} more messages between processes were sent outside of any call")
    return SpreadFacts(layout, twin.module if twin else None, costs, tuple(notes), has_peaks)


def _passes(spans: Iterable[Span]) -> dict[Span, list[Span]]:
    """Return the calls of each forward pass by its outermost call."""
    roots: dict[Span, Span] = {}
    passes: defaultdict[Span, list[Span]] = defaultdict(list)
    for span in spans:
        root = roots[span] = span if span.parent is None else roots[span.parent]
        passes[root].append(span)
    return passes
