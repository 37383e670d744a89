"""Small modules and their traces, to be compared."""

from __future__ import annotations

import itertools
from typing import Any

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.record import Trace

nn = torch.nn


def trace_of(module: nn.Module, x: Any, *measure: str) -> Trace:
    with torch.no_grad(), gptrace.watch(module, measure=measure) as trace:
        module(x)
    return trace


def layers(*widths: int) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(*(nn.Linear(a, b) for a, b in itertools.pairwise(widths)))
