"""Embeddings times √d, a tied head, soft-capped scores and logits, norms before and after (Gemma 2)."""

import torch
from torch import nn
from torch.nn import functional as F


class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.zeros(dim))

    def forward(self, x):
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
        return x * (1 + self.weight)


def apply_rotary(x, positions, base=10000.0):
    half = x.shape[-1] // 2
    timescale = base ** (torch.arange(half, device=x.device) / half)
    radians = positions[:, None] / timescale[None, :]
    sin, cos = radians.sin(), radians.cos()
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class GemmaAttention(nn.Module):
    def __init__(self, hidden, heads, kv_heads, head_dim, cap):
        super().__init__()
        self.heads, self.kv_heads, self.head_dim, self.cap = heads, kv_heads, head_dim, cap
        self.qkv_proj = nn.Linear(hidden, (heads + 2 * kv_heads) * head_dim, bias=False)
        self.o_proj = nn.Linear(heads * head_dim, hidden, bias=False)
        self.scaling = head_dim**-0.5

    def forward(self, x):
        b, t, _ = x.shape
        qkv = self.qkv_proj(x).view(b, t, self.heads + 2 * self.kv_heads, self.head_dim).transpose(1, 2)
        q, k, v = qkv.split([self.heads, self.kv_heads, self.kv_heads], dim=1)
        positions = torch.arange(t, device=x.device)
        q, k = apply_rotary(q, positions), apply_rotary(k, positions)
        groups = self.heads // self.kv_heads
        q = (q * self.scaling).view(b, self.kv_heads, groups, t, self.head_dim)
        scores = torch.einsum("bkgqd,bksd->bkgqs", q, k)
        scores = self.cap * torch.tanh(scores / self.cap)
        scores = scores + torch.full((t, t), -2.3819763e38, device=x.device).triu(1)
        probs = F.softmax(scores, dim=-1)
        out = torch.einsum("bkgqs,bksd->bkgqd", probs, v)
        out = out.reshape(b, self.heads, t, self.head_dim).transpose(1, 2).reshape(b, t, -1)
        return self.o_proj(out)


class GemmaBlock(nn.Module):
    def __init__(self, hidden, heads, kv_heads, head_dim, inner, cap):
        super().__init__()
        self.pre_attn, self.post_attn = RMSNorm(hidden), RMSNorm(hidden)
        self.pre_ff, self.post_ff = RMSNorm(hidden), RMSNorm(hidden)
        self.attn = GemmaAttention(hidden, heads, kv_heads, head_dim, cap)
        self.gate, self.up = nn.Linear(hidden, inner, bias=False), nn.Linear(hidden, inner, bias=False)
        self.down = nn.Linear(inner, hidden, bias=False)

    def forward(self, x):
        x = x + self.post_attn(self.attn(self.pre_attn(x)))
        h = self.pre_ff(x)
        h = self.down(F.gelu(self.gate(h), approximate="tanh") * self.up(h))
        return x + self.post_ff(h)


class Gemma(nn.Module):
    def __init__(
        self, vocab_size=50257, hidden=32, layers=2, heads=4, kv_heads=2, head_dim=8, inner=64,
        attn_cap=50.0, final_cap=30.0,
    ):  # fmt: skip
        super().__init__()
        self.embedder = nn.Embedding(vocab_size, hidden)
        nn.init.normal_(self.embedder.weight, std=0.05)
        self.normalizer = hidden**0.5
        self.layers = nn.ModuleList(
            GemmaBlock(hidden, heads, kv_heads, head_dim, inner, attn_cap) for _ in range(layers)
        )
        self.final_norm = RMSNorm(hidden)
        self.final_cap = final_cap

    def forward(self, token_ids):
        h = self.embedder(token_ids) * self.normalizer
        for layer in self.layers:
            h = layer(h)
        h = self.final_norm(h)
        logits = h @ self.embedder.weight.t()
        return self.final_cap * torch.tanh(logits / self.final_cap)
