"""`with gptrace.watch(module) as trace:`, the primitive that makes every trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from gptrace.measures import SHAPES_ONLY, Measures
from gptrace.model.architecture import Architecture
from gptrace.model.build import architecture_of
from gptrace.model.interrupts import interrupts_allowed, interrupts_held
from gptrace.model.module_tree import check_submodules
from gptrace.model.quiet_torch import torch
from gptrace.record import Trace
from gptrace.tracing.assembly import assemble_trace
from gptrace.tracing.inferred_names import InferredAxisNames, infer_axis_names
from gptrace.tracing.line_recorder import LineRecorder
from gptrace.tracing.pipeline_stages import StageCall
from gptrace.tracing.recorder import SpanRecorder
from gptrace.tracing.span import Span
from gptrace.tracing.spread.layout import outside_of_fake_mode
from gptrace.tracing.spread.whole import understand_spread

Module = torch.nn.Module


@contextmanager
def watch(module: Module, *, measure: Iterable[str] | Measures = ()) -> Iterator[Trace]:
    """Record every call of `module` and of its submodules while the block runs.

    `measure` names further measurements: "ops" (the functional operations between the modules), "macs"
    (multiply-accumulates), "memory" (of activations), "statistics" (of each output), or "all".

    Axes have names if gptrace can build the module at other sizes: a GPTModel, a model of transformers.

    The trace is filled when the block ends. An exception in the block passes through unchanged, and
    `trace.error` describes it. The module is left as it was. A `module` that is no torch.nn.Module is a
    TypeError, one with millions of paths to the same submodules a ConfigError.

    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    >>> with watch(model, measure=["macs"]) as trace:
    ...     _ = model(torch.ones(5, 3))
    >>> [(call.path, call.outputs[0].shape, call.cost.macs) for call in trace.calls]
    [('', (5, 2), 30), ('0', (5, 2), 30), ('1', (5, 2), 0)]
    """
    if not isinstance(module, Module):
        raise TypeError(f"gptrace.watch takes a torch.nn.Module, not {type(module).__name__}")
    check_submodules(module, may_contain_itself=True)
    with (
        record_trace(module, architecture_of(module), measures=Measures.of(measure)) as trace,
        interrupts_allowed(),
    ):
        yield trace


@contextmanager
def record_trace(
    module: Module,
    architecture: Architecture | None,
    *,
    by_copy: bool = False,
    measures: Measures = SHAPES_ONLY,
    check: str = "gptrace.check(model)",
    lines: LineRecorder | None = None,
    running: AbstractContextManager[object] | None = None,
) -> Iterator[Trace]:
    """Record as `watch` does; `architecture` and `by_copy` are explained in `infer_axis_names`.

    `check` is the command that checks the model, for notes. `lines` follows the lines of the model's code;
    their tensors are among the operations of the trace. The block is in the context `running`, around the
    modes of the recorder; the axes are named outside of it. Interrupts are held in the block, and allowed by
    it where the model runs.
    """
    # What `lines` adds are no operations, and nothing comes from them.
    with_origins = measures.ops and lines is None
    recorder = SpanRecorder(module, measures, lines=lines, with_origins=with_origins)
    with interrupts_held(), _recorded(recorder, architecture, by_copy, check, running) as trace:
        yield trace


@contextmanager
def _recorded(
    recorder: SpanRecorder, architecture: Architecture | None, by_copy: bool, check: str,
    running: AbstractContextManager[object] | None,
) -> Iterator[Trace]:  # fmt: skip
    trace = Trace.pending()
    error: BaseException | None = None
    try:
        with running or nullcontext(), recorder:
            yield trace
    except BaseException as raised:
        error = raised
        raise
    finally:
        try:
            with interrupts_allowed():  # the recorder has put back what it changed
                trace.fill(_assemble(recorder, error, architecture, by_copy, check))
        finally:
            recorder.release()
            # The exception holds this frame: together they would keep the model until the next collection.
            del error


def _assemble(
    recorder: SpanRecorder, error: BaseException | None, architecture: Architecture | None, by_copy: bool,
    check: str,
) -> Trace:  # fmt: skip
    """Return the trace; if the block failed, a failure in here must not hide that exception."""
    # After Ctrl-C the user waits for the end: run nothing again.
    may_run = error is None or isinstance(error, Exception)

    def assembled() -> Trace:
        spread = understand_spread(recorder, architecture, needs_twin=by_copy, may_run=may_run)
        module = recorder.module if spread is None else spread.twin

        def infer_names(spans: list[Span]) -> InferredAxisNames:
            if not may_run:
                return InferredAxisNames(None)
            copied, failed = module if by_copy else None, error is not None
            twin = None if spread is None else spread.twin
            names = infer_axis_names(recorder, architecture, spans, copied=copied, failed=failed, twin=twin)
            return names if names.names is not None or recorder.stage is None else _of_stage(recorder.stage)

        return assemble_trace(recorder, error, infer_names, check, spread)

    with outside_of_fake_mode(recorder.layout):
        try:
            return assembled()
        except Exception:
            if error is None:
                raise
            return assemble_trace(recorder, error, lambda _: InferredAxisNames(None), check)


def _of_stage(stage: StageCall) -> InferredAxisNames:
    at, count, _ = stage
    reason = f"this is stage {at} of {count} of a pipeline, and a stage alone cannot be built at other sizes"
    return InferredAxisNames(None, f"no axis has a name: {reason}")
