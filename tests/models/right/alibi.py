"""No position embeddings: each head subtracts a multiple of the distance from its scores (ALiBi)."""

import math

import torch
from torch import nn


def get_slopes(n_heads):
    start = 2 ** (-8 / n_heads)
    return torch.tensor([start ** (i + 1) for i in range(n_heads)])


class AlibiAttention(nn.Module):
    def __init__(self, dim, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.head_dim = dim // n_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.register_buffer("slopes", get_slopes(n_heads).view(n_heads, 1, 1), persistent=False)

    def forward(self, x):
        batch, length, dim = x.shape
        q, k, v = self.qkv(x).split(dim, dim=-1)
        q = q.view(batch, length, self.n_heads, self.head_dim).permute(0, 2, 1, 3)
        k = k.view(batch, length, self.n_heads, self.head_dim).permute(0, 2, 3, 1)
        v = v.view(batch, length, self.n_heads, self.head_dim).permute(0, 2, 1, 3)

        pos = torch.arange(length, device=x.device)
        distance = pos[:, None] - pos[None, :]
        bias = -self.slopes * distance.clamp(min=0)
        scores = q @ k / math.sqrt(self.head_dim) + bias
        scores = scores.masked_fill(distance < 0, torch.finfo(scores.dtype).min)
        out = scores.softmax(-1) @ v
        return self.proj(out.permute(0, 2, 1, 3).reshape(batch, length, dim))


class AlibiLM(nn.Module):
    def __init__(self, vocab_size=50257, dim=32, n_heads=4, n_layers=2):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, dim)
        self.attns = nn.ModuleList(AlibiAttention(dim, n_heads) for _ in range(n_layers))
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, 2 * dim), nn.SiLU(), nn.Linear(2 * dim, dim))
            for _ in range(n_layers)
        )
        self.norms1 = nn.ModuleList(nn.LayerNorm(dim) for _ in range(n_layers))
        self.norms2 = nn.ModuleList(nn.LayerNorm(dim) for _ in range(n_layers))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocab_size)

    def forward(self, tokens):
        x = self.embed(tokens)
        for attn, mlp, norm1, norm2 in zip(self.attns, self.mlps, self.norms1, self.norms2):
            x = x + attn(norm1(x))
            x = x + mlp(norm2(x))
        return self.head(self.norm(x))
