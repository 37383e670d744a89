"""Two hooks on every submodule: one opens a span, the other closes it. Neither changes anything."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from time import perf_counter
from types import TracebackType

from gptrace.model.quiet_torch import torch
from gptrace.tracing.tensors import Seen, see, see_arguments

Module = torch.nn.Module


class Span:
    """One call of one module, while it runs and after."""

    __slots__ = (
        "depth",
        "failed",
        "inputs",
        "module",
        "outputs",
        "parent",
        "path",
        "raised_before",
        "seconds",
        "start",
    )

    def __init__(self, module: Module, path: str, parent: int | None, depth: int) -> None:
        self.module = module
        self.path = path
        self.parent = parent
        self.depth = depth
        self.inputs: list[Seen] = []
        self.outputs: list[Seen] = []
        self.failed = False
        self.seconds = 0.0
        self.raised_before: BaseException | None = None
        self.start = 0.0


class SpanRecorder:
    """Records every call inside `module`, itself included, while it is entered.

    Usable once. The hooks go when the block ends, whatever ended it.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.spans: list[Span] = []
        self._open: list[int] = []
        self._paths: dict[Module, str] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> SpanRecorder:
        try:
            for path, module in self.module.named_modules():
                self._paths[module] = path
                # First in, last out: a span is the call as its caller sees it, with the work of the
                # module's own hooks inside.
                before = module.register_forward_pre_hook(self._opened, prepend=True, with_kwargs=True)
                self._handles.append(before)
                # Without always_call the hook would stay silent when forward raises.
                after = module.register_forward_hook(self._closed, with_kwargs=True, always_call=True)
                self._handles.append(after)
        except BaseException:
            self._remove_hooks()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._remove_hooks()
        # always_call leaves out KeyboardInterrupt and its like: what is still open was cut off.
        self._close_down_to(0)

    def _remove_hooks(self) -> None:
        while self._handles:
            self._handles.pop().remove()

    def _opened(self, module: Module, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        parent = self._open[-1] if self._open else None
        span = Span(module, self._paths[module], parent, len(self._open))
        span.inputs = see_arguments(module, args, kwargs)
        span.raised_before = sys.exc_info()[1]
        self._open.append(len(self.spans))
        self.spans.append(span)
        span.start = perf_counter()

    def _closed(
        self, module: Module, args: tuple[object, ...], kwargs: Mapping[str, object], output: object
    ) -> None:
        now = perf_counter()
        level = len(self._open) - 1
        while level >= 0 and self.spans[self._open[level]].module is not module:
            level -= 1
        if level < 0:
            return  # entered before the hooks were there
        self._close_down_to(level + 1)
        span = self.spans[self._open.pop()]
        span.seconds = now - span.start
        # An exception that was already being handled when the call began is not this call's failure.
        raised = sys.exc_info()[1]
        span.failed = raised is not None and raised is not span.raised_before
        span.raised_before = None
        if not span.failed:
            span.outputs = see("output", output)

    def _close_down_to(self, level: int) -> None:
        """Close what an interruption left open above `level`."""
        now = perf_counter()
        while len(self._open) > level:
            span = self.spans[self._open.pop()]
            span.seconds = now - span.start
            span.failed = True
            span.raised_before = None
