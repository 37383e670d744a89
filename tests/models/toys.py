"""Modules of a few lines that several tests use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gptrace.model.quiet_torch import torch

nn = torch.nn


class Function(nn.Module):
    """A module whose forward method is a function."""

    def __init__(self, work: Callable[..., Any]) -> None:
        super().__init__()
        self.work = work

    def forward(self, *inputs: Any) -> Any:
        return self.work(*inputs)
