"""A copy of our model that shares its weights and nothing else: to run it in another way than its owner does.

What is set on the copy, a cache or the fused kernel, is seen by nobody who runs the original meanwhile:
another thread, or whoever listens to a text as it is generated.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TypeVar

from gptrace.model.gpt import GPTModel, MultiHeadAttention
from gptrace.model.quiet_torch import torch

Model = TypeVar("Model", bound=torch.nn.Module)


def isolated_copy(model: GPTModel, *, fused: bool) -> GPTModel:
    """Return a copy in evaluation mode, whose attention runs `fused` if that is wished.

    >>> model = GPTModel({"emb_dim": 48, "n_heads": 4, "n_layers": 2, "vocab_size": 100})
    >>> isolated_copy(model, fused=True).tok_emb.weight is model.tok_emb.weight
    True
    """
    made = _copied(model, {})
    made.eval()
    for attention in attentions(made):
        attention.fused = attention.fused or fused
    return made


def attentions(model: torch.nn.Module) -> Iterator[MultiHeadAttention]:
    """Yield the attention of each block that has one: somebody may have put another module in its place."""
    return (module for module in model.modules() if isinstance(module, MultiHeadAttention))


def _copied(module: Model, known: dict[int, torch.nn.Module]) -> Model:
    """Copy modules, each once, with the same parameters, buffers and hooks."""
    made = copy.copy(module)
    known[id(module)] = made
    vars(made)["_modules"] = {
        name: child if child is None else known.get(id(child)) or _copied(child, known)
        for name, child in module._modules.items()
    }
    return made
