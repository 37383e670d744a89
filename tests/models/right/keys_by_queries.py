"""Scores have a row for each key and a column for each query, so softmax runs over the rows."""

import math

import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.to_keys = nn.Linear(dim, dim, bias=False)
        self.to_queries = nn.Linear(dim, dim, bias=False)
        self.to_values = nn.Linear(dim, dim, bias=False)
        self.out = nn.Linear(dim, dim)

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x):
        length = x.shape[1]
        k, q, v = self.split(self.to_keys(x)), self.split(self.to_queries(x)), self.split(self.to_values(x))
        scores = k @ q.transpose(-1, -2) / math.sqrt(k.shape[-1])
        after = torch.ones(length, length, dtype=torch.bool, device=x.device).tril(-1)
        scores = scores.masked_fill(after, float("-inf"))
        weights = scores.softmax(dim=2)
        mixed = weights.transpose(2, 3) @ v
        return self.out(mixed.transpose(1, 2).flatten(2))


class ColumnGPT(nn.Module):
    def __init__(self, vocab_size=50257, dim=32, heads=4, n_layers=2, context_length=32):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, dim)
        self.positions = nn.Embedding(context_length, dim)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2 * n_layers))
        self.attentions = nn.ModuleList(Attention(dim, heads) for _ in range(n_layers))
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocab_size, bias=False)

    def forward(self, ids):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
        for i, (attention, mlp) in enumerate(zip(self.attentions, self.mlps)):
            x = x + attention(self.norms[2 * i](x))
            x = x + mlp(self.norms[2 * i + 1](x))
        return self.head(self.norm(x))
