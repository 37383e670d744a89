"""Calls that torch's pipelining makes of a stage of a model.

There is one for each micro-batch, and before them one that only tells the shapes of what the stage returns.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, NamedTuple

from gptrace.model.quiet_torch import torch

_MODULE = "torch.distributed.pipelining.stage"
_FILE = f"{torch.__file__.rpartition('/')[0]}/distributed/pipelining/stage.py"
_RUNS_MICRO_BATCH = "forward_maybe_with_nosync"  # of torch 2.9 and of 2.13


class StageCall(NamedTuple):
    """A call inside a stage of a pipeline: number `stage` of `stages`, from 1; whether a micro-batch runs."""

    stage: int
    stages: int
    runs_micro_batch: bool


def stage_call() -> StageCall | None:
    """Return the role of this call in a pipeline; None where it is not the innermost work of a stage."""
    if _MODULE not in sys.modules:
        return None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == _FILE:
            stage: Any = frame.f_locals.get("self")
            index, count = getattr(stage, "stage_index", 0), getattr(stage, "num_stages", 1)
            return StageCall(index + 1, count, frame.f_code.co_name == _RUNS_MICRO_BATCH)
        frame = frame.f_back
    return None
