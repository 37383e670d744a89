"""One call of one module, as the hooks see it."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from time import perf_counter

from gptrace.model.quiet_torch import torch
from gptrace.record import Statistics
from gptrace.tracing.tensors import Seen

_NONE: Mapping[str, tuple[int, int]] = {}


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
    # Whether what came in was finite, and what the call made of it then: "NaN", "Inf", or nothing.
    given_finite = False
    made = ""
    # What was being handled when the call began, and is not its failure.
    raised_before: BaseException | None = None

    def __init__(
        self, module: torch.nn.Module, path: str, parent: Span | None, inputs: tuple[Seen, ...]
    ) -> None:
        self.module = module
        self.path = path
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent is not None else 0
        self.inputs = inputs
        self.outputs: tuple[Seen, ...] = ()
        self.start = perf_counter()

    def close(self, now: float, *, failed: bool) -> None:
        """Note the end of the call."""
        self.seconds = now - self.start
        if failed:
            self.failed = True
        if self.raised_before is not None:
            self.raised_before = None  # it would keep a traceback alive, and all that its frames hold
