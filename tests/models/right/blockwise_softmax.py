"""Attention over blocks of keys with a running maximum and a running sum, as flash attention computes it."""

import torch
from torch import nn


def blockwise_attention(q, k, v, block):
    """Causal attention that never holds all scores of a query at once."""
    B, H, T, D = q.shape
    out = torch.empty_like(q)
    rows = torch.arange(T, device=q.device)
    for start in range(0, T, block):
        queries = q[:, :, start : start + block] * D**-0.5
        index = rows[start : start + block]
        total = torch.zeros_like(queries)
        norm = queries.new_zeros(*queries.shape[:-1], 1)
        highest = queries.new_full((*queries.shape[:-1], 1), -torch.inf)
        for first in range(0, int(index[-1]) + 1, block):
            keys, values = k[:, :, first : first + block], v[:, :, first : first + block]
            scores = queries @ keys.transpose(-1, -2)
            scores = scores.masked_fill(rows[first : first + block] > index[:, None], -torch.inf)
            new_highest = torch.maximum(highest, scores.amax(-1, keepdim=True))
            exps = torch.exp(scores - new_highest)
            shrink = torch.exp(highest - new_highest)
            total = total * shrink + exps @ values
            norm = norm * shrink + exps.sum(-1, keepdim=True)
            highest = new_highest
        out[:, :, start : start + block] = total / norm
    return out


class Block(nn.Module):
    def __init__(self, dim, heads, block):
        super().__init__()
        self.heads, self.block = heads, block
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)
        )

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=-1)
        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in (q, k, v))
        x = x + self.out(blockwise_attention(q, k, v, self.block).transpose(1, 2).flatten(2))
        return x + self.mlp(x)


class FlashGPT(nn.Module):
    def __init__(self, vocab_size=50257, dim=32, heads=4, n_layers=2, context_length=32, block=3):
        super().__init__()
        self.wte = nn.Embedding(vocab_size, dim)
        self.wpe = nn.Embedding(context_length, dim)
        self.blocks = nn.ModuleList([Block(dim, heads, block) for _ in range(n_layers)])
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocab_size, bias=False)

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))
