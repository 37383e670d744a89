"""`with gptrace.watch(module) as trace:` — the primitive that every trace is made with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from gptrace.measures import Measures
from gptrace.model.architecture import Architecture
from gptrace.model.build import architecture_of
from gptrace.model.quiet_torch import torch
from gptrace.record import Trace
from gptrace.tracing.assembly import assemble_trace
from gptrace.tracing.axis_names import InferredAxisNames, infer_axis_names
from gptrace.tracing.recorder import NOTHING_MORE, SpanRecorder
from gptrace.tracing.span import Span

Module = torch.nn.Module


@contextmanager
def watch(module: Module, *, measure: Iterable[str] = ()) -> Iterator[Trace]:
    """Record every call of `module` and of its submodules while the block runs.

    `measure` names what else to take: "ops" (the functional operations between the modules), "macs"
    (multiply-accumulates), "memory" (of activations), "statistics" (of each output), or "all".

    Axes get names where the module tells how it is built at other sizes: a GPTModel, a model of
    transformers.

    The trace fills when the block ends, also when it ends in an exception, which goes on unchanged
    and is then described in `trace.error`. The module is left as it was.

    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    >>> with watch(model, measure=["macs"]) as trace:
    ...     _ = model(torch.ones(5, 3))
    >>> [(call.path, call.outputs[0].shape, call.cost.macs) for call in trace.calls]
    [('', (5, 2), 30), ('0', (5, 2), 30), ('1', (5, 2), 0)]
    """
    if not isinstance(module, Module):
        raise TypeError(f"gptrace.watch takes a torch.nn.Module, not {type(module).__name__}")
    with record_trace(module, architecture_of(module), measures=Measures.of(measure)) as trace:
        yield trace


@contextmanager
def record_trace(
    module: Module,
    architecture: Architecture | None,
    *,
    by_copy: bool = False,
    measures: Measures = NOTHING_MORE,
) -> Iterator[Trace]:
    """Record as `watch` does, with an architecture to name axes by; see `infer_axis_names` for `by_copy`."""
    trace = Trace.pending()
    recorder = SpanRecorder(module, measures)
    error: BaseException | None = None
    try:
        with recorder:
            yield trace
    except BaseException as raised:
        error = raised
        raise
    finally:
        trace.fill(_described(recorder, error, architecture, by_copy))
        recorder.forget()


def _described(
    recorder: SpanRecorder, error: BaseException | None, architecture: Architecture | None, by_copy: bool
) -> Trace:
    """Return the trace; where the block failed, failing to describe it must not hide that error."""

    def name(spans: list[Span]) -> InferredAxisNames:
        # Somebody who interrupts wants it to end: no other run of the model now.
        interrupted = error is not None and not isinstance(error, Exception)
        if interrupted or spans[0].module is not recorder.module:
            return InferredAxisNames(None)
        return infer_axis_names(
            recorder.module,
            architecture,
            spans,
            by_copy=by_copy,
            ops=recorder.measures.ops,
            failed=error is not None,
        )

    try:
        return assemble_trace(recorder, error, name)
    except Exception:
        if error is None:
            raise
        return assemble_trace(recorder, error, lambda _: InferredAxisNames(None))
