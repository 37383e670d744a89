"""Traces of whatever modules a block of code calls, when it is not known before which these are."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gptrace.measures import Measures
from gptrace.model.quiet_torch import torch
from gptrace.record import Trace
from gptrace.tracing.watching import watch

Module = torch.nn.Module
_MOST = 5  # tables that somebody reads
_OWN_CODE = str(Path(__file__).parents[1])


@dataclass(slots=True)
class RootCalls:
    """The traces of the first call of each module, and the number of further calls."""

    traces: list[Trace] = field(default_factory=list)
    others: int = 0


@contextmanager
def watch_root_calls(measures: Measures) -> Iterator[RootCalls]:
    """Trace the first call of each module that this thread calls in the block from outside of any module.

    Of a training loop that is the first step. At most five modules are traced.

    >>> layer = torch.nn.Linear(3, 2)
    >>> with watch_root_calls(Measures()) as calls:
    ...     _ = layer(torch.ones(5, 3)), layer(torch.ones(4, 3))
    >>> [trace.calls[0].outputs[0].shape for trace in calls.traces], calls.others
    ([(5, 2)], 1)
    """
    found, modules = RootCalls(), list[Any]()
    thread, original, is_open = threading.get_ident(), Module.__call__, False

    def call(module: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal is_open
        if is_open or threading.get_ident() != thread:
            return original(module, *args, **kwargs)
        is_open = True
        try:
            if sys._getframe(1).f_code.co_filename.startswith(_OWN_CODE):  # such as gptrace.trace
                return original(module, *args, **kwargs)
            if len(modules) == _MOST or any(module is seen for seen in modules):
                found.others += 1
                return original(module, *args, **kwargs)
            modules.append(module)
            with watch(module, measure=measures) as trace:
                found.traces.append(trace)
                return original(module, *args, **kwargs)
        finally:
            is_open = False

    Module.__call__ = call  # type: ignore[method-assign]
    try:
        yield found
    finally:
        Module.__call__ = original  # type: ignore[method-assign]
