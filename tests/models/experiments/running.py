"""Build a model with weights that matter, run it, and compare what comes out."""

from __future__ import annotations

from typing import Any

from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor
functional = torch.nn.functional

# Rounding in float32 moves the logits of these models by less than 1e-5, and their flaws by more than 1e-2.
NOTICED = 1e-3
SMALL_VOCABULARY = 61


def lively(model: Any) -> Any:
    """Give a model weights so large that each part of it matters to the logits, in float32; return it."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                parameter.copy_(noise * 1.5 / parameter.shape[-1] ** 0.5)
            else:
                parameter.add_(noise * 0.2)
    return model.float()


def some_ids(batch: int = 1, length: int = 12, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, SMALL_VOCABULARY, (batch, length), generator=generator)


def logits_of(output: Any) -> Tensor:
    """The logits in an output: itself, its field, its key, or the first of a tuple."""
    if isinstance(output, dict):
        output = output["logits"]
    logits: Tensor = getattr(output, "logits", output)
    return logits[0] if isinstance(logits, tuple) else logits


def run(model: Any, ids: Tensor, **arguments: Any) -> Tensor:
    with torch.no_grad():
        logits = logits_of(model(ids, **arguments))
        if logits.shape[1] == 1 < ids.shape[1]:  # the last alone, unless there are targets
            logits = logits_of(model(ids, targets=ids))
        return logits


def differ(one: Tensor, other: Tensor) -> bool:
    return not torch.allclose(one, other, rtol=NOTICED, atol=NOTICED)
