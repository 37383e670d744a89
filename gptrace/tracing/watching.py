"""`with gptrace.watch(module) as trace:` — the primitive that every trace is made with."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gptrace
from gptrace.model.architecture import Architecture
from gptrace.model.build import architecture_of
from gptrace.model.gpt import GPTModel
from gptrace.model.hugging_face import is_hugging_face
from gptrace.model.quiet_torch import torch
from gptrace.record import Failure, FlowStep, ModelInfo, ModuleCall, ParameterCount, TensorSpec, Totals, Trace
from gptrace.tracing.dimensions import DimensionNames, Naming, numbered, prove
from gptrace.tracing.parameters import (
    Named,
    ancestors,
    buffer_bytes,
    count_all,
    count_by_module,
    named_parameters,
)
from gptrace.tracing.spans import Span, SpanRecorder
from gptrace.tracing.tensors import Seen

Module = torch.nn.Module
_NO_PARAMETERS = ParameterCount(0, 0)


@contextmanager
def watch(module: Module) -> Iterator[Trace]:
    """Record every call of `module` and of its submodules while the block runs.

    Axes get names where the module tells how it is built at other sizes: a GPTModel, a model of
    transformers.

    The trace fills when the block ends, also when it ends in an exception, which goes on unchanged
    and is then described in `trace.error`. The module is left as it was.

    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    >>> with watch(model) as trace:
    ...     _ = model(torch.ones(5, 3))
    >>> [(call.path, call.outputs[0].shape) for call in trace.calls]
    [('', (5, 2)), ('0', (5, 2)), ('1', (5, 2))]
    """
    if not isinstance(module, Module):
        raise TypeError(f"gptrace.watch takes a torch.nn.Module, not {type(module).__name__}")
    with watch_as(module, architecture_of(module)) as trace:
        yield trace


@contextmanager
def watch_as(module: Module, architecture: Architecture | None, *, by_copy: bool = False) -> Iterator[Trace]:
    """Record as `watch` does, with an architecture to name axes by; `by_copy` is that of `prove`."""
    # The caller holds the record before there is anything to record: it is made empty, and filled once.
    trace = Trace.__new__(Trace)
    recorder = SpanRecorder(module)
    error: BaseException | None = None
    try:
        with recorder:
            yield trace
    except BaseException as raised:
        error = raised
        raise
    finally:
        vars(trace).update(vars(_described(recorder, error, architecture, by_copy)))


def versions() -> dict[str, str]:
    """Return the versions that a report states."""
    return {"gptrace": gptrace.__version__, "torch": torch.__version__, "python": platform.python_version()}


def model_info(
    module: Module,
    name: str | None = None,
    weights: dict[str, Any] | None = None,
    parameters: list[Named] | None = None,
) -> ModelInfo:
    """Describe a module: class, parameters, dtype and device."""
    parameters = named_parameters(module) if parameters is None else parameters
    first = parameters[0][1] if parameters else None
    return ModelInfo(
        name=name or type(module).__name__,
        class_name=type(module).__name__,
        parameters=count_all(parameters),
        buffer_bytes=buffer_bytes(module),
        dtype=dtype_name(first.dtype) if first is not None else "none",
        device=str(first.device) if first is not None else "none",
        config=_configuration(module),
        weights=weights,
    )


def _configuration(module: Module) -> dict[str, Any] | None:
    """Return the settings of our model or of one of transformers, as far as JSON can hold them."""
    if isinstance(module, GPTModel):
        return module.config.to_dict()
    if is_hugging_face(module):
        config: Any = module.config
        settings: dict[str, Any] = config.to_dict()
        return {key: value for key, value in settings.items() if isinstance(value, int | float | str)}
    return None


def dtype_name(dtype: torch.dtype) -> str:
    """Return "float32" for torch.float32."""
    return str(dtype).removeprefix("torch.")


def _described(
    recorder: SpanRecorder, error: BaseException | None, architecture: Architecture | None, by_copy: bool
) -> Trace:
    """Return the trace; where the block failed, failing to describe it must not hide that error."""

    def name(spans: list[Span]) -> Naming:
        if spans[0].module is not recorder.module:
            return Naming(None)
        return prove(recorder.module, architecture, spans, by_copy=by_copy)

    try:
        return _trace_of(recorder, error, name)
    except Exception:
        if error is None:
            raise
        return _trace_of(recorder, error, lambda _: Naming(None))


def _trace_of(
    recorder: SpanRecorder, error: BaseException | None, name: Callable[[list[Span]], Naming]
) -> Trace:
    parameters = named_parameters(recorder.module)
    calls, dims, notes = _calls_of(recorder, parameters, name)
    called = {span.module for span in recorder.spans}
    # A ModuleList is never called itself: it counts as used when anything in it was.
    used = {around for path, module in recorder.paths if module in called for around in ancestors(path)}
    return Trace(
        versions=versions(),
        model=model_info(recorder.module, parameters=parameters),
        dims=dims,
        inputs=(),
        flow=_flow_of(calls),
        calls=calls,
        uncalled=tuple(path for path, _ in recorder.paths if path not in used),
        predictions=(),
        totals=Totals(
            calls=len(calls),
            modules=len(called),
            seconds=sum(call.seconds for call in calls if call.parent is None),
        ),
        error=_failure_of(calls, error),
        notes=notes,
    )


def _calls_of(
    recorder: SpanRecorder, parameters: list[Named], name: Callable[[list[Span]], Naming]
) -> tuple[tuple[ModuleCall, ...], dict[str, int], tuple[str, ...]]:
    """Turn spans into records, with axis names where a forward pass can be given them, and what was noted."""
    spans = recorder.spans
    counts = count_by_module(parameters)
    calls_of_path = Counter(span.path for span in spans)
    roots: list[int] = []  # of each span, the index of the outermost call around it
    passes: dict[int, list[Span]] = {}
    for index, span in enumerate(spans):
        roots.append(index if span.parent is None else roots[span.parent])
        passes.setdefault(roots[index], []).append(span)
    namings = {root: name(those) for root, those in passes.items()}
    specs = {root: _Specs(naming.names) for root, naming in namings.items()}
    # Number of the call within the forward pass that it belongs to: what the twin's single pass counts.
    calls_in_pass: Counter[tuple[int, str]] = Counter()
    calls = []
    for index, (span, call) in enumerate(numbered(spans)):
        calls_in_pass[roots[index], span.path] += 1
        number = calls_in_pass[roots[index], span.path]
        of_pass = specs[roots[index]]
        calls.append(
            ModuleCall(
                index=index,
                parent=span.parent,
                depth=span.depth,
                path=span.path,
                type=type(span.module).__name__,
                call=call,
                calls=calls_of_path[span.path],
                inputs=of_pass.of(span.path, number, span.inputs),
                outputs=of_pass.of(span.path, number, span.outputs),
                parameters=counts.get(span.path, _NO_PARAMETERS),
                seconds=span.seconds,
                failed=span.failed,
            )
        )
    sizes = next((one.sizes for one in specs.values() if one.sizes), {})
    notes = dict.fromkeys(naming.note for naming in namings.values() if naming.note)
    return tuple(calls), sizes, tuple(notes)


class _Specs:
    """Makes the TensorSpecs of one forward pass; the blocks of a model share most of theirs."""

    def __init__(self, names: DimensionNames | None) -> None:
        self._names = names
        self._made: dict[tuple[Seen, tuple[int, ...]], TensorSpec] = {}
        self.sizes = names.sizes if names else {}

    def of(self, path: str, call: int, seen: list[Seen]) -> tuple[TensorSpec, ...]:
        return tuple([self._spec(one, path, call) for one in seen])

    def _spec(self, seen: Seen, path: str, call: int) -> TensorSpec:
        twin_shape = self._names.twin_shape(path, call, seen.name) if self._names else ()
        spec = self._made.get((seen, twin_shape))
        if spec is None:
            dims = self._names.of(seen.shape, twin_shape) if self._names else tuple(map(str, seen.shape))
            spec = TensorSpec(seen.name, seen.shape, dims, dtype_name(seen.dtype), str(seen.device))
            self._made[seen, twin_shape] = spec
        return spec


def _flow_of(calls: tuple[ModuleCall, ...]) -> tuple[FlowStep, ...]:
    """Return the main line: what goes in, then what leaves each child of the root with those axes first."""
    if not calls or not calls[0].inputs:
        return ()
    entry = calls[0].inputs[0]
    steps = [FlowStep("input", entry.shape, entry.dims)]
    for call in calls:
        if call.parent == 0 and call.outputs and call.outputs[0].dims[: len(entry.dims)] == entry.dims:
            steps.append(FlowStep(call.path, call.outputs[0].shape, call.outputs[0].dims))
    return tuple(steps)


def _failure_of(calls: tuple[ModuleCall, ...], error: BaseException | None) -> Failure | None:
    if error is None:
        return None
    # The innermost call that raised was entered last.
    failed = next((call for call in reversed(calls) if call.failed), None)
    return Failure(
        path=failed.path if failed else "",
        type=type(error).__name__,
        message=str(error),
        inputs=failed.inputs if failed else (),
    )
