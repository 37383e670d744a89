"""Modules of a few lines that several tests use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch

nn = torch.nn


class Function(nn.Module):
    """A module whose forward method is a function."""

    def __init__(self, work: Callable[..., Any]) -> None:
        super().__init__()
        self.work = work

    def forward(self, *inputs: Any) -> Any:
        return self.work(*inputs)


class Small(nn.Module):
    """A table and a head. gptrace cannot build it at other sizes, so it runs a copy."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(30, 6), nn.Linear(6, 30)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Ids (B, T) → logits (B, T, 30)."""
        logits: torch.Tensor = self.head(self.table(ids))
        return logits


class Raising(nn.Module):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: torch.Tensor) -> object:
        raise self.error


class Disturbing(GPTModel):
    """A model that draws random numbers, counts its calls and keeps a cache."""

    count: torch.Tensor
    cache: torch.Tensor

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("cache", torch.zeros(1))

    def forward(self, in_idx: torch.Tensor) -> torch.Tensor:
        torch.rand(1)
        self.count = self.count.add_(1)
        self.cache = torch.ones(3)
        assert not torch.is_grad_enabled()
        return super().forward(in_idx)
