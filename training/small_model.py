"""The small GPT: its configuration, its first weights, and what its optimizer does to them."""

from __future__ import annotations

import torch

from gptrace.model.config import GPTConfig
from gptrace.model.gpt import GPTModel

# The table of 50,257 tokens is three quarters of the parameters, so the width decides the size of the file.
SMALL = GPTConfig(context_length=256, emb_dim=256, n_heads=8, n_layers=6, drop_rate=0.1, tie_head=True)


def new_model(config: GPTConfig, seed: int) -> GPTModel:
    """Return a model in training mode, with first weights as GPT-2 has them.

    Weights are drawn with a deviation of 0.02 and biases are 0. Each block adds twice to x, so the layers
    that write to x start smaller, by the root of the number of additions: the size of x then does not grow
    with depth.
    """
    torch.manual_seed(seed)
    model = GPTModel(config)
    for name, parameter in model.named_parameters():
        if parameter.dim() >= 2:
            is_added = name.endswith(("att.out_proj.weight", "ff.layers.2.weight"))
            torch.nn.init.normal_(parameter, std=0.02 / ((2 * config.n_layers) ** 0.5 if is_added else 1))
        elif not name.endswith("scale"):
            torch.nn.init.zeros_(parameter)
    return model


def new_optimizer(model: GPTModel, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW, which decays matrices only: norms and biases have no reason to be small."""
    parameters = list(model.parameters())
    matrices = [parameter for parameter in parameters if parameter.dim() >= 2]
    vectors = [parameter for parameter in parameters if parameter.dim() < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), fused=parameters[0].is_cuda)
