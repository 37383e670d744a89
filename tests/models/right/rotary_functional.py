"""Rotated queries and keys by functions, grouped keys by expand, a dataclass, a loss with targets."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Args:
    dim: int = 64
    n_layers: int = 2
    n_heads: int = 4
    n_kv_heads: int = 2
    vocab_size: int = 50257
    max_seq_len: int = 32


class RMSNorm(nn.Module):
    def __init__(self, d, eps=1e-6):
        super().__init__()
        self.g = nn.Parameter(torch.ones(d))
        self.eps = eps

    def forward(self, x):
        ms = x.square().mean(-1, keepdim=True)
        return x * torch.rsqrt(ms + self.eps) * self.g


def rope_table(n, hd, base=10000.0):
    freqs = base ** (-torch.arange(0, hd, 2).float() / hd)
    ang = torch.outer(torch.arange(n).float(), freqs)
    return ang.cos(), ang.sin()


def rotate(x, cos, sin):
    t = x.shape[-2]
    a, b = x.chunk(2, dim=-1)
    c, s = cos[:t], sin[:t]
    return torch.cat([a * c - b * s, a * s + b * c], dim=-1)


class Attn(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.h, self.kv, self.hd = a.n_heads, a.n_kv_heads, a.dim // a.n_heads
        self.q = nn.Linear(a.dim, a.dim, bias=False)
        self.k = nn.Linear(a.dim, a.n_kv_heads * self.hd, bias=False)
        self.v = nn.Linear(a.dim, a.n_kv_heads * self.hd, bias=False)
        self.o = nn.Linear(a.dim, a.dim, bias=False)

    def forward(self, x, cos, sin):
        B, T, D = x.shape
        q = self.q(x).view(B, T, self.h, self.hd).transpose(1, 2)
        k = self.k(x).view(B, T, self.kv, self.hd).transpose(1, 2)
        v = self.v(x).view(B, T, self.kv, self.hd).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        rep = self.h // self.kv
        k = k[:, :, None].expand(B, self.kv, rep, T, self.hd).reshape(B, self.h, T, self.hd)
        v = v[:, :, None].expand(B, self.kv, rep, T, self.hd).reshape(B, self.h, T, self.hd)
        w = q @ k.transpose(-2, -1) * self.hd**-0.5
        keep = torch.ones(T, T, dtype=torch.bool, device=x.device).tril()
        w = w.masked_fill(~keep, float("-inf"))
        p = w.softmax(-1)
        y = (p @ v).transpose(1, 2).reshape(B, T, D)
        return self.o(y)


class MLP(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.up, self.gate, self.down = nn.Linear(d, 2 * d), nn.Linear(d, 2 * d), nn.Linear(2 * d, d)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.n1, self.n2 = RMSNorm(a.dim), RMSNorm(a.dim)
        self.attn, self.mlp = Attn(a), MLP(a.dim)

    def forward(self, x, cos, sin):
        x = x + self.attn(self.n1(x), cos, sin)
        return x + self.mlp(self.n2(x))


class LM(nn.Module):
    def __init__(self, a: Args):
        super().__init__()
        self.emb = nn.Embedding(a.vocab_size, a.dim)
        self.blocks = nn.ModuleList(Block(a) for _ in range(a.n_layers))
        self.norm = RMSNorm(a.dim)
        self.head = nn.Linear(a.dim, a.vocab_size, bias=False)
        cos, sin = rope_table(a.max_seq_len, a.dim // a.n_heads)
        self.register_buffer("cos", cos)
        self.register_buffer("sin", sin)

    def forward(self, tokens, targets=None):
        h = self.emb(tokens)
        for blk in self.blocks:
            h = blk(h, self.cos, self.sin)
        logits = self.head(self.norm(h))
        if targets is None:
            return logits
        loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))
        return logits, loss
