"""One call of one module, as the hooks see it."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from time import perf_counter
from types import TracebackType
from typing import NamedTuple

from gptrace.model.quiet_torch import torch
from gptrace.record import Statistics
from gptrace.tracing.tensors import TensorInfo

_NONE: Mapping[str, tuple[int, int]] = {}


class TensorState(NamedTuple):
    """When a tensor was looked at: how much had been done by then, and the tensor's own count of writes."""

    done: int | None = None
    version: int | None = None


class Given(NamedTuple):
    """A tensor that a call was given, when, and whether it was finite where that had to be looked at."""

    tensor: torch.Tensor
    moment: TensorState
    is_finite: bool | None = None


class Span:
    """One call of one module, while it runs and after.

    What few calls have, or only what was asked for, is an attribute of the class until it is found: a span is
    made within each call of each module, and each attribute that is set takes time there.
    """

    # Its place in order of entry, and that of the outermost call around it: told once all are there.
    index = root = -1
    seconds = 0.0
    failed = False
    error: BaseException | None = None
    # Of its own, without the calls inside: MACs, and kernels whose cost is unknown.
    macs = 0
    unknown: frozenset[str] = frozenset()
    peak = 0
    # The tensor that left, while it lives; of a call that failed, the path of the call that made its
    # input, and the least and greatest of the whole numbers that came in, by name.
    output: weakref.ref[torch.Tensor] | None = None
    producer: str | None = None
    ranges: Mapping[str, tuple[int, int]] = _NONE
    statistics: Sequence[Statistics | None] = ()  # of each tensor that left
    # What came in, while the call runs, and what it made of finite numbers: "NaN", "Inf", or nothing.
    given: Sequence[Given] = ()
    left: TensorState | None = None
    made = ""
    # What was being handled when the call began, and how far it had come: that is not its failure.
    raised_before: tuple[BaseException | None, TracebackType | None] = (None, None)

    def __init__(
        self, module: torch.nn.Module, path: str, parent: Span | None, inputs: tuple[TensorInfo, ...]
    ) -> None:
        self.module = module
        self.path = path
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent is not None else 0
        self.inputs = inputs
        self.outputs: tuple[TensorInfo, ...] = ()
        self.start = perf_counter()

    def close(self, now: float, *, failed: bool) -> None:
        """Note the end of the call."""
        self.seconds = now - self.start
        if failed:
            self.failed = True
        # They would keep alive a traceback and all that its frames hold, and the arguments.
        if self.raised_before[0] is not None:
            self.raised_before = (None, None)
        if self.given:
            self.given = ()
