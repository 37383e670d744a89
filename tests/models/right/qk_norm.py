"""Queries and keys are normalised in each head, and a learned factor stands for 1/√head_dim."""

import torch
from torch import nn
from torch.nn import functional as F


class QKNormAttention(nn.Module):
    def __init__(self, dim, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_kv = nn.Linear(dim, 2 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.temperature = nn.Parameter(torch.full((n_heads, 1, 1), 4.0))

    def heads(self, x):
        return x.view(*x.shape[:2], self.n_heads, -1).transpose(1, 2)

    def forward(self, x):
        q = self.heads(self.to_q(x))
        k, v = map(self.heads, self.to_kv(x).chunk(2, dim=-1))
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        sim = torch.einsum("bhid,bhjd->bhij", q, k) * self.temperature
        mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        sim = sim.masked_fill(mask, -torch.finfo(sim.dtype).max)
        out = torch.einsum("bhij,bhjd->bhid", sim.softmax(dim=-1), v)
        return self.out(out.transpose(1, 2).flatten(-2))


class NormalisedLM(nn.Module):
    def __init__(self, num_tokens=50257, dim=32, n_heads=4, depth=2, max_len=32):
        super().__init__()
        self.token_emb = nn.Embedding(num_tokens, dim)
        self.pos_emb = nn.Embedding(max_len, dim)
        self.layers = nn.ModuleList([])
        for _ in range(depth):
            attn = nn.Sequential(nn.LayerNorm(dim), QKNormAttention(dim, n_heads))
            ff = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
            self.layers.append(nn.ModuleList([attn, ff]))
        self.to_logits = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, num_tokens))

    def forward(self, x):
        n, device = x.shape[1], x.device
        x = self.token_emb(x)
        x = x + self.pos_emb(torch.arange(n, device=device))
        for attn, ff in self.layers:
            x = attn(x) + x
            x = ff(x) + x
        return self.to_logits(x)
