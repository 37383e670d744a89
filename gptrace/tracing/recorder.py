"""Every call of every module of a model opens a span and closes it; nothing else changes."""

from __future__ import annotations

import sys
import weakref
from collections import defaultdict
from contextlib import ExitStack, suppress
from threading import get_ident
from time import perf_counter
from typing import ClassVar

from gptrace.measures import SHAPES_ONLY, Measures
from gptrace.model.devices import accelerators_of, waiting_for
from gptrace.model.quiet_torch import torch
from gptrace.tracing.arguments import (
    ArgumentNames,
    argument_names,
    describe_arguments,
    find_arguments,
)
from gptrace.tracing.charges import Charges, kernel_counters
from gptrace.tracing.device_hooks import DeviceHooks
from gptrace.tracing.line_recorder import LineRecorder
from gptrace.tracing.module_calls import Arguments, Keywords, ModuleCalls, WatchedModule, compiled_paths
from gptrace.tracing.nan_tracker import NanTracker
from gptrace.tracing.operations import Observer, Operation, OperationMode, may_run_fused
from gptrace.tracing.origins import OriginTracker
from gptrace.tracing.parameters import children_of, named_modules_with_aliases
from gptrace.tracing.pipeline_stages import StageCall, stage_call
from gptrace.tracing.recursion_room import recursion_room
from gptrace.tracing.span import Span, set_sites
from gptrace.tracing.spread.layout import layout_of, spreading_code
from gptrace.tracing.spread.parameters import SpreadParameters
from gptrace.tracing.spread.root_call import RootCall
from gptrace.tracing.statistics import has_numbers
from gptrace.tracing.tensors import describe_each, describe_tensors, find_tensors
from gptrace.tracing.undisturbed import run_uncompiled
from gptrace.tracing.unseen import (
    Paused,
    back_on_its_stack,
    count_function_modes,
    recorded_graph,
    run_unseen,
    without_dispatch_modes,
    without_function_modes,
)
from gptrace.wording import enumerated

Module = torch.nn.Module
Tensor = torch.Tensor


class SpanRecorder:
    """Records every call of `module` and of the modules inside it, while it is entered.

    A recorder is used once. It leaves the modules when the block ends, also by an exception. Several threads
    may call the module: each has its own stack of open calls. If two threads each watch the same module, each
    recorder gets the calls of its own thread. `observer` is that of the
    operations, if these are measured. `with_origins` also records where each tensor came from.
    """

    # The recorders that are entered now, by the thread that entered them.
    _active: ClassVar[dict[int, list[SpanRecorder]]] = {}

    def __init__(
        self,
        module: Module,
        measures: Measures = SHAPES_ONLY,
        observer: Observer | None = None,
        lines: LineRecorder | None = None,
        *,
        with_origins: bool = False,
    ) -> None:
        self.module = module
        self.measures = measures
        self.spans: list[Span] = []  # in order of entry; filled when the block ends
        self._begun: list[Span] = []  # the same, while the block runs
        # Every path of every module; a module with two parents has two paths.
        self.paths: list[tuple[str, Module]] = named_modules_with_aliases(module)
        self._children = children_of(self.paths)
        self.lines = lines
        observed = measures.ops or lines is not None
        self.origins = OriginTracker(self.paths, self._begun) if with_origins else None
        self.layout = layout_of(module)
        self.parameters = None if self.layout is None else SpreadParameters.of(self.paths)
        others = spreading_code(self.layout)
        self.operations = OperationMode(self._position, observer, self.origins, others) if observed else None
        # Of a model whose processes share the work: the outermost calls, to be made by the whole model.
        self.root_calls: list[RootCall] = []
        # By id of the module: its class may define equality differently.
        self._watched: dict[int, WatchedModule] = {}
        self._open_spans: defaultdict[int, list[Span]] = defaultdict(list)  # by thread, innermost last
        self._thread = get_ident()
        self._own_spans = self._open_spans[self._thread]
        self.notes: list[str] = []
        # The paths of modules that were compiled in the block, which ends what is recorded of them.
        self.compiled: list[str] = []
        self._cleanup = ExitStack()
        self.charges = Charges(self._open_spans, self.operations)
        with without_function_modes():
            self._memory, self.costs = kernel_counters(module, measures, self.charges, self.layout)
        self._nan_tracker = (
            NanTracker(self._begun, self.costs, self.operations) if measures.statistics else None
        )
        self._has_measures = measures != SHAPES_ONLY or self.layout is not None
        self._wait = waiting_for(accelerators_of(module))
        self.stage: StageCall | None = None  # of a pipeline, if the model is one

    def __enter__(self) -> SpanRecorder:
        calls = ModuleCalls(self)
        self._cleanup.callback(self._leave, calls)
        try:
            names: dict[type[Module], ArgumentNames] = {}  # the cache of argument_names is weak, and slower
            for path, module in self.paths:
                key, kind = id(module), type(module)
                if key not in self._watched:
                    if kind not in names:
                        names[kind] = argument_names(kind)
                    self._watched[key] = WatchedModule(module, path, names[kind])
            self._cleanup.enter_context(recursion_room())
            calls.add(self._watched.values())
            self._run_uncompiled()
            recorders = self._active.setdefault(get_ident(), [])
            recorders.append(self)
            self._cleanup.callback(recorders.remove, self)
            if self._has_measures:
                measured = self.costs, self._memory, self.operations, self.origins
                DeviceHooks(self.paths, *measured).enter(self._cleanup)
            for mode in (self.costs, self.operations):
                if mode is not None:
                    self._cleanup.enter_context(mode)
                    self._cleanup.callback(back_on_its_stack, mode)
            if self.lines is not None and self.operations is not None:
                self.operations.listener = self.lines.note
                self.lines.start(self.operations, self._position)
                self._cleanup.callback(self.lines.stop)
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if self.operations is not None and self.operations.is_suspended:
            self.operations.resume()
        self._cleanup.close()
        # An interrupt may come between the begin of a call and the call, and another thread may still run.
        # A copy, since that may add its stack meanwhile.
        now = perf_counter()
        for open_spans in list(self._open_spans.values()):
            while open_spans:
                span = open_spans.pop()
                span.seconds, span.failed = now - span.start, True
        self.spans = list(self._begun)  # a copy, since a thread that still runs may begin more calls
        set_sites(self.spans)

    def _leave(self, calls: ModuleCalls) -> None:
        self.compiled = calls.remove()

    def paths_now(self) -> list[tuple[str, Module]]:
        """Return `paths` as they are now: the very same list unless submodules were added or replaced."""
        if children_of(self.paths) == self._children:
            return self.paths
        return named_modules_with_aliases(self.module)

    def operations_by_call(self) -> dict[Span, list[Operation]]:
        """Return the operations inside each module call, in order; none unless they were recorded."""
        by_call: defaultdict[Span, list[Operation]] = defaultdict(list)
        for operation in self.operations.operations if self.operations is not None else ():
            if operation.parent is not None:
                by_call[operation.parent].append(operation)
        return by_call

    def release(self) -> None:
        """Drop the references that lead back to the recorder: the module is freed without a collection then.

        The exception of a failed call holds its frames, and these hold the recorder.
        """
        for span in self._begun:
            span.error = None  # operations hold their span
        self.spans.clear()
        self._begun.clear()
        self.root_calls.clear()
        if self._memory is not None:
            self._memory.release()
        if self.operations is not None:
            self.operations.release()
        if self.origins is not None:
            self.origins.release()
        self.charges.operations = None
        self.operations = self.origins = self._nan_tracker = self.costs = self._memory = None

    def _belongs_to_other_recorder(self, module: Module) -> bool:
        """Tell whether this thread has entered another recorder that watches the module, and not this one."""
        recorders = self._active.get(get_ident(), [])
        return self not in recorders and any(id(module) in other._watched for other in recorders)

    def _run_uncompiled(self) -> None:
        """Run compiled modules as plain Python: compiled code calls no modules."""
        if "torch._dynamo" not in sys.modules:  # never imported, so nothing was compiled
            return
        self._cleanup.enter_context(run_uncompiled())
        compiled = [path or "the model itself" for path in compiled_paths(self._watched.values())]
        if compiled:
            paths = enumerated(compiled, 5)
            self.notes.append(f"compiled modules run uncompiled while they are traced: {paths}")

    def _record_failed_inputs(self, span: Span, args: tuple[object, ...]) -> None:
        """Note where the inputs of a failed call came from and their ranges, for the diagnosis."""
        names = self._watched[id(span.module)].names.positional
        ranges: dict[str, tuple[int, int]] = {}
        # Suppress everything: after a failure on a device, even reading a tensor raises.
        with without_function_modes(), without_dispatch_modes(), suppress(Exception):
            for name, value in zip(names, args, strict=False):
                if not isinstance(value, Tensor):
                    continue
                if span.producer is None:
                    producers = (call.path for call in reversed(self._begun) if call.returned(value))
                    span.producer = next(producers, None)
                is_integer = not (value.is_floating_point() or value.is_complex())
                if is_integer and has_numbers(value) and value.numel():
                    ranges[name] = (int(value.min()), int(value.max()))
        span.integer_ranges = ranges

    def _record_outputs(self, span: Span, output: object) -> None:
        if isinstance(output, Tensor):
            span.output_ref = weakref.ref(output)
        else:
            span.returned_class = type(output).__name__
        # Read once: `release` may set them to None while a thread still runs after the block.
        nan_tracker, origins = self._nan_tracker, self.origins
        if nan_tracker is None and origins is None:
            span.outputs = describe_tensors("output", output)
        else:
            found = find_tensors("output", output)  # once: a user's container may return others next time
            span.outputs = describe_each(found)
            if origins is not None and get_ident() == self._thread:
                origins.end(span, found)
            if nan_tracker is not None:
                with without_function_modes(), without_dispatch_modes():
                    nan_tracker.record_outputs(span, [tensor for _, tensor in found])
        if self.lines is not None and get_ident() == self._thread:
            self.lines.note(sys._getframe(1), span)

    def _position(self) -> tuple[Span | None, int]:
        """Return the innermost open call of the own thread, and the number of calls that have begun."""
        open_spans = self._own_spans
        return open_spans[-1] if open_spans else None, len(self._begun)

    def begin(self, watched: WatchedModule, args: Arguments, kwargs: Keywords) -> Span | Paused | None:
        """Open the span of a call; None for that of another thread's recorder."""
        thread = get_ident()
        if not self._own_spans and (stage := stage_call()) is not None:
            self.stage = stage
            if not stage.runs_micro_batch:
                return Paused((self.costs, self.operations))
        if thread != self._thread and self._belongs_to_other_recorder(watched.module):
            return None
        if recorded_graph() is not None:
            return run_unseen(self._open, thread, watched, args, kwargs)
        if self._has_measures or count_function_modes():
            with without_function_modes():
                return self._open(thread, watched, args, kwargs)
        return self._open(thread, watched, args, kwargs)

    def _open(self, thread: int, watched: WatchedModule, args: Arguments, kwargs: Keywords) -> Span:
        open_spans = self._open_spans[thread]
        parent = open_spans[-1] if open_spans else None
        origins, found = self.origins, None
        if origins is None or thread != self._thread:
            inputs = describe_arguments(watched.names, args, kwargs)
        else:
            found = find_arguments(watched.names, args, kwargs)
            inputs = describe_each(found)
        if self._wait is not None:
            self._wait()
        depth = 0 if parent is None else parent.depth + 1
        span = Span(watched.module, watched.path, parent, depth, inputs, perf_counter())
        if parent is None and self.layout is not None and self.layout.work_dims:
            self.root_calls.append(RootCall.of(span, args, kwargs))
        self._begun.append(span)
        open_spans.append(span)
        if not self._has_measures:
            return span
        if origins is not None and found is not None:
            origins.begin(span, found)
        if thread != self._thread and (self.costs is not None or self.operations is not None):
            span.unknown |= {"another thread"}  # modes see only the thread that entered them
        if self._memory is not None:
            span.peak_bytes = self._memory.settled()
        if self._nan_tracker is not None:
            with without_function_modes(), without_dispatch_modes():
                self._nan_tracker.record_inputs(span, args, kwargs)
        if self.operations is not None and may_run_fused(watched.module, args, kwargs):
            span.suspends_operations = self.operations.suspend()
        span.start = perf_counter()  # again, so that the time taken here is not the call's
        return span

    def end(self, span: Span | Paused, output: object) -> None:
        """Close the span of a call that has returned, and note its outputs."""
        if self._wait is not None:
            self._wait()
        now = perf_counter()
        if not self._close(span, now, failed=False) or isinstance(span, Paused):
            return
        if recorded_graph() is not None:
            run_unseen(self._record_outputs, span, output)
        elif self._has_measures or count_function_modes():
            with without_function_modes():
                self._record_outputs(span, output)
        else:
            self._record_outputs(span, output)
        if span.input_states:
            span.input_states = ()  # let go of the arguments

    def fail(self, span: Span | Paused, args: Arguments, error: BaseException) -> None:
        """Close the span of a call that has raised."""
        # torch.utils.checkpoint ends a recomputed part early by raising this; nothing went wrong.
        failed = type(error).__name__ != "_StopRecomputationError"
        if not self._close(span, perf_counter(), failed=failed) or isinstance(span, Paused):
            return
        span.input_states = ()
        # After Ctrl-C the user waits for the end.
        if failed and isinstance(error, Exception):
            span.error = error
            run_unseen(self._record_failed_inputs, span, args)

    def _close(self, span: Span | Paused, now: float, *, failed: bool) -> bool:
        """Close a span, and those inside it that an interrupt left open; tell whether it was open."""
        if isinstance(span, Paused):
            span.end()
            return False
        open_spans = self._open_spans[get_ident()]
        while open_spans:
            innermost = open_spans.pop()
            if innermost.suspends_operations and self.operations is not None:
                self.operations.resume()
            if innermost is span:
                span.seconds, span.failed = now - span.start, failed
                if open_spans and span.peak_bytes > open_spans[-1].peak_bytes:
                    open_spans[-1].peak_bytes = span.peak_bytes
                if failed and self.origins is not None:
                    self.origins.leave(span)
                return True
            innermost.seconds, innermost.failed = now - innermost.start, True
            if self.origins is not None:
                self.origins.leave(innermost)
        return False  # closed by the end of the block, while another thread still ran the call
