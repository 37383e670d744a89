"""Two hooks on every submodule: one opens a span, the other closes it. Neither changes anything."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from time import perf_counter
from types import TracebackType

from gptrace.model.quiet_torch import torch
from gptrace.tracing.tensors import ArgumentNames, Seen, argument_names, see, see_arguments

Module = torch.nn.Module


class Span:
    """One call of one module, while it runs and after."""

    __slots__ = (
        "depth", "failed", "inputs", "module", "outputs", "parent", "path",
        "raised_before", "seconds", "start",
    )  # fmt: skip

    def __init__(self, module: Module, path: str, parent: int | None, depth: int, inputs: list[Seen]) -> None:
        self.module = module
        self.path = path
        self.parent = parent
        self.depth = depth
        self.inputs = inputs
        self.outputs: list[Seen] = []
        self.failed = False
        # An exception that is being handled when the call begins is not this call's failure.
        self.raised_before = sys.exc_info()[1]
        self.seconds = 0.0
        self.start = perf_counter()

    def close(self, now: float, *, failed: bool) -> None:
        """Note the end of the call."""
        self.seconds = now - self.start
        self.failed = failed
        self.raised_before = None  # it would keep a traceback alive, and all that its frames hold


class SpanRecorder:
    """Records every call inside `module`, itself included, while it is entered.

    Usable once. The hooks go when the block ends, whatever ended it.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.spans: list[Span] = []
        self._open: list[int] = []
        self._modules: dict[Module, tuple[str, ArgumentNames]] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    @property
    def paths(self) -> list[str]:
        """The paths of all modules, called or not."""
        return [path for path, _ in self._modules.values()]

    def __enter__(self) -> SpanRecorder:
        try:
            for path, module in self.module.named_modules():
                self._modules[module] = (path, argument_names(type(module).forward))
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
        now = perf_counter()
        while self._open:
            self.spans[self._open.pop()].close(now, failed=True)

    def _remove_hooks(self) -> None:
        while self._handles:
            self._handles.pop().remove()

    def _opened(self, module: Module, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        path, names = self._modules[module]
        parent = self._open[-1] if self._open else None
        inputs = see_arguments(names, args, kwargs)
        self._open.append(len(self.spans))
        self.spans.append(Span(module, path, parent, len(self._open) - 1, inputs))

    def _closed(
        self, module: Module, args: tuple[object, ...], kwargs: Mapping[str, object], output: object
    ) -> None:
        now = perf_counter()
        if not self._open or (
            self.spans[self._open[-1]].module is not module
            and all(self.spans[index].module is not module for index in self._open)
        ):
            return  # entered before the hooks were there
        while True:
            span = self.spans[self._open.pop()]
            raised = sys.exc_info()[1]
            failed = raised is not None and raised is not span.raised_before
            if span.module is module:
                if not failed:
                    span.outputs = see("output", output)
                span.close(now, failed=failed)
                return
            span.close(now, failed=True)  # opened inside this call, and cut off without a word
