"""Turns the tokens around, runs over them from the end to the start, and turns the result back.

Two turns make the sum over later tokens a sum over earlier ones.
"""

import torch
from torch import nn


class DecayedSum(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.decay = nn.Parameter(torch.full((dim,), 2.0))
        self.value = nn.Linear(dim, dim)
        self.gate = nn.Linear(dim, dim)

    def forward(self, x):
        backwards = self.value(x).flip(1)
        keep = torch.sigmoid(self.decay)
        # In turned order, token j counts for token i when j >= i: the upper triangle.
        steps = torch.arange(x.shape[1], device=x.device)
        distance = (steps[None, :] - steps[:, None]).clamp(min=0)
        weights = keep[:, None, None] ** distance
        weights = torch.triu(weights)
        summed = torch.einsum("dij,bjd->bid", weights, backwards)
        return summed.flip(1) * torch.sigmoid(self.gate(x))


class FlippedLM(nn.Module):
    def __init__(self, vocab_size=50257, dim=32, n_layers=2):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, dim)
        self.mix = nn.ModuleList([DecayedSum(dim) for _ in range(n_layers)])
        self.norm1 = nn.ModuleList([nn.LayerNorm(dim) for _ in range(n_layers)])
        self.mlp = nn.ModuleList([nn.Linear(dim, dim) for _ in range(n_layers)])
        self.norm2 = nn.ModuleList([nn.LayerNorm(dim) for _ in range(n_layers)])
        self.unembed = nn.Linear(dim, vocab_size)

    def forward(self, ids):
        x = self.embed(ids)
        for mix, norm1, mlp, norm2 in zip(self.mix, self.norm1, self.mlp, self.norm2):
            x = x + mix(norm1(x))
            x = x + torch.nn.functional.gelu(mlp(norm2(x)))
        return self.unembed(x)
