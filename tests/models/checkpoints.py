"""Checkpoint files that tests write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gptrace.model.gpt import GPTModel
from gptrace.model.quiet_torch import torch

Tensors = dict[str, torch.Tensor]


def to_linear(state: Tensors) -> Tensors:
    """Conv1D's [in, out] → Linear's [out, in]."""
    return {
        name: value.t().contiguous() if value.dim() == 2 and ".c_" in name else value
        for name, value in state.items()
    }


def course_file(path: Path, **changes: Any) -> Path:
    settings: dict[str, Any] = {
        "vocab_size": 100,
        "context_length": 16,
        "emb_dim": 48,
        "n_heads": 3,
        "n_layers": 1,
    }
    torch.save(GPTModel(settings | changes).state_dict(), path)
    return path
