"""Two hooks on every submodule: one opens a span, the other closes it. Neither changes anything."""

from __future__ import annotations

import sys
import weakref
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from threading import get_ident
from time import perf_counter
from types import TracebackType
from typing import Any, ClassVar

from gptrace.measures import Measures
from gptrace.model.quiet_torch import torch
from gptrace.tracing.costs import CostMode
from gptrace.tracing.hooks import Hook, ModuleHooks
from gptrace.tracing.memory import ActivationMemory
from gptrace.tracing.nan_tracker import Numbers
from gptrace.tracing.operations import OperationMode
from gptrace.tracing.parameters import named_modules_with_aliases
from gptrace.tracing.span import Span
from gptrace.tracing.state import run_uncompiled
from gptrace.tracing.statistics import has_numbers
from gptrace.tracing.tensors import (
    ArgumentNames,
    argument_names,
    describe_arguments,
    describe_each,
    describe_tensors,
    find_tensors,
)

Module = torch.nn.Module
Tensor = torch.Tensor
NOTHING_MORE = Measures()
# What the tracer computes itself is nobody's to see: not its own modes', not those of somebody who counts or
# records what the model does.
_unseen_functions, _unseen_kernels = torch._C.DisableTorchFunction, torch._C._DisableTorchDispatch


def _unseen(hook: Callable[[Module, Any, Any], None], *arguments: Any) -> None:
    with _unseen_functions():
        hook(*arguments)


class SpanRecorder:
    """Records every call inside `module`, itself included, while it is entered.

    Usable once. The hooks go when the block ends, whatever ended it. Threads may share the module: each has
    its own open calls. Where two threads each watch the same module, each sees what runs in it.
    """

    # The recorders that are entered now, by thread.
    _entered: ClassVar[dict[int, list[SpanRecorder]]] = {}

    def __init__(self, module: Module, measures: Measures = NOTHING_MORE) -> None:
        self.module = module
        self.measures = measures
        self.spans: list[Span] = []  # once the block has ended
        self._begun: list[Span] = []
        # Every name of every module: one that two parents share has two.
        self.paths: list[tuple[str, Module]] = list(named_modules_with_aliases(module))
        self.operations = OperationMode(self._now) if measures.ops else None
        # By id: a class may define equality for itself.
        self._modules: dict[int, tuple[str, ArgumentNames]] = {}
        self._open_in_threads: defaultdict[int, list[Span]] = defaultdict(list)
        self.notes: list[str] = []
        self.macs_outside = 0
        self._thread = get_ident()
        self._to_leave = ExitStack()
        self._memory = ActivationMemory(module, self._grew) if measures.memory else None
        counted = measures.macs or measures.memory
        self._costs = CostMode(self._count, self._memory) if counted else None
        self._numbers = Numbers(self._begun, self._costs, self.operations) if measures.statistics else None
        self._takes_more = measures != NOTHING_MORE

    def __enter__(self) -> SpanRecorder:
        if self.operations is None:
            hooks = ModuleHooks(Hook(self._opened), Hook(self._closed))
        else:  # for which a tensor's shape would be one more operation
            hooks = ModuleHooks(Hook(_unseen, self._opened), Hook(_unseen, self._closed))
        self._to_leave.callback(hooks.remove)
        names: dict[type[Module], ArgumentNames] = {}
        try:
            for path, module in self.paths:
                if id(module) in self._modules:
                    continue
                kind = type(module)
                if kind not in names:
                    names[kind] = argument_names(kind)
                self._modules[id(module)] = (path, names[kind])
                hooks.add(module)
            self._run_uncompiled()
            self._enter_thread()
            for mode in (self._costs, self.operations):
                if mode is not None:
                    self._to_leave.enter_context(mode)
        except BaseException:
            self._to_leave.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._to_leave.close()
        # always_call leaves out KeyboardInterrupt and its like: what is still open was cut off.
        now = perf_counter()
        for opened in list(self._open_in_threads.values()):
            while opened:
                opened.pop().close(now, failed=True)
        self.spans = list(self._begun)  # a thread that goes on may begin more

    def forget(self) -> None:
        """Let go of what refers back to here: no collector of garbage is needed to free the module then.

        The exception of a call holds the frames that it came through, and they hold the recorder.
        """
        self.spans.clear()
        self._begun.clear()
        if self._memory is not None:
            self._memory.forget()
        self.operations = self._numbers = self._costs = self._memory = None

    def _enter_thread(self) -> None:
        here = self._entered.setdefault(get_ident(), [])
        here.append(self)
        self._to_leave.callback(here.remove, self)

    def _is_anothers(self, module: Module) -> bool:
        """Tell whether a call belongs to another recorder, which this thread has entered itself."""
        here = self._entered.get(get_ident(), [])
        return self not in here and any(id(module) in other._modules for other in here)

    def _run_uncompiled(self) -> None:
        """Have what was compiled run as it was written: compiled code runs no hooks, or compiles ours."""
        dynamo = sys.modules.get("torch._dynamo")
        if dynamo is None:
            return
        compiled = [
            path or "the model itself"
            for path, module in self.paths
            if isinstance(module, dynamo.OptimizedModule) or module._compiled_call_impl is not None
        ]
        self._to_leave.enter_context(run_uncompiled())
        if compiled:
            self.notes.append(f"compiled, and traced as it was written: {', '.join(compiled[:5])}")

    def _note_what_came_in(self, span: Span, args: tuple[object, ...]) -> None:
        """Keep what a diagnosis may want to know of the arguments of a call that failed."""
        names = self._modules[id(span.module)][1].positional
        ranges: dict[str, tuple[int, int]] = {}
        with (
            _unseen_functions(),
            _unseen_kernels(),
            suppress(Exception),
        ):  # a device that failed tells nothing any more
            for name, value in zip(names, args, strict=False):
                if not isinstance(value, Tensor):
                    continue
                if span.producer is None:
                    made = (one for one in reversed(self._begun) if one.output is not None)
                    span.producer = next((one.path for one in made if one.output() is value), None)  # type: ignore[misc]
                is_whole = not (value.is_floating_point() or value.is_complex())
                if is_whole and has_numbers(value) and value.numel():
                    ranges[name] = (int(value.min()), int(value.max()))
        span.ranges = ranges

    def _note_what_left(self, span: Span, output: object) -> None:
        if isinstance(output, Tensor):
            span.output = weakref.ref(output)
        numbers = self._numbers  # which a thread that goes on after the block may lose meanwhile
        if numbers is None:
            span.outputs = describe_tensors("output", output)
            return
        with _unseen_functions(), _unseen_kernels():
            tensors = find_tensors("output", output)  # once: a container of the user's may give others then
            span.outputs = (
                describe_tensors("output", output) if type(output) is Tensor else describe_each(tensors)
            )
            numbers.closed(span, [tensor for _, tensor in tensors])

    def _innermost(self) -> Span | None:
        opened = self._open_in_threads.get(get_ident())
        return opened[-1] if opened else None

    def _now(self) -> tuple[Span | None, int]:
        return self._innermost(), len(self._begun)

    def _count(self, macs: int | None, kernel: str) -> None:
        operation = self.operations.open if self.operations is not None else None
        span = self._innermost()
        if span is None:
            self.macs_outside += macs or 0
        for counter in (span, operation):
            if counter is None:
                continue
            if macs is None:
                counter.unknown |= {kernel}
            else:
                counter.macs += macs

    def _grew(self, alive: int) -> None:
        span = self._innermost()
        if span is not None and alive > span.peak:
            span.peak = alive

    def _opened(self, module: Module, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        known, thread = self._modules.get(id(module)), get_ident()
        if known is None or (thread != self._thread and self._is_anothers(module)):
            return  # a copy, which shares the hooks of its original: DataParallel makes such replicas
        path, names = known
        opened = self._open_in_threads[thread]
        span = Span(module, path, opened[-1] if opened else None, describe_arguments(names, args, kwargs))
        # An exception that is being handled when the call begins is not this call's failure.
        raised = sys.exception()
        if raised is not None:
            span.raised_before = raised, raised.__traceback__
        self._begun.append(span)
        opened.append(span)
        if not self._takes_more:
            return
        if thread != self._thread and (self._costs is not None or self.operations is not None):
            span.unknown |= {"another thread"}  # modes see the thread that they were entered in
        if self._memory is not None:
            span.peak = self._memory.alive
        if self._numbers is not None:
            with _unseen_functions(), _unseen_kernels():
                self._numbers.opened(span, args, kwargs)
        span.start = perf_counter()

    def _closed(self, module: Module, args: tuple[object, ...], output: object) -> None:
        now = perf_counter()
        opened = self._open_in_threads[get_ident()]
        if not opened:
            return  # entered before the hooks were there
        if opened[-1].module is not module and all(one.module is not module for one in opened):
            return  # a copy
        raised = sys.exception()
        while True:
            span = opened.pop()
            before, how_far = span.raised_before
            failed = raised is not None and raised is not before
            # Raised again, it has come further than when the call began, and the call returns nothing.
            failed = failed or (raised is not None and raised.__traceback__ is not how_far and output is None)
            # How checkpointing ends a part that it has run again: nothing went wrong.
            failed = failed and type(raised).__name__ != "_StopRecomputationError"
            if span.module is module:
                if failed:
                    span.error = raised
                    self._note_what_came_in(span, args)
                else:
                    self._note_what_left(span, output)
                span.close(now, failed=failed)
                if opened and span.peak > opened[-1].peak:
                    opened[-1].peak = span.peak
                return
            span.close(now, failed=True)  # opened inside this call, and cut off without a word
