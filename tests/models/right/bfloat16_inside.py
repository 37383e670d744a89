"""Attention runs in bfloat16 to save memory, and the rest in float32."""

import torch
from torch import nn
from torch.nn import functional as F


class LowPrecisionAttention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.proj = nn.Linear(dim, dim, bias=False)

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = self.qkv(x).bfloat16().view(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-1, -2)).float() / (D // self.heads) ** 0.5
        scores = scores + torch.full((T, T), -torch.inf, device=x.device).triu(1)
        weights = F.softmax(scores, dim=-1).bfloat16()
        y = (weights @ v).to(x.dtype)
        return self.proj(y.transpose(1, 2).reshape(B, T, D))


class MixedGPT(nn.Module):
    def __init__(self, vocab_size=50257, dim=32, heads=4, n_layers=2, context_length=32):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, dim)
        self.positions = nn.Embedding(context_length, dim)
        self.blocks = nn.ModuleList()
        for _ in range(n_layers):
            attention = nn.Sequential(nn.LayerNorm(dim), LowPrecisionAttention(dim, heads))
            mlp = nn.Sequential(
                nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim)
            )
            self.blocks.append(nn.ModuleDict({"attention": attention, "mlp": mlp}))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocab_size)

    def forward(self, ids):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = x + block["attention"](x)
            x = x + block["mlp"](x)
        return self.head(self.norm(x))
