"""Linear attention: positive features of queries and keys, and running sums over the tokens so far."""

import torch
from torch import nn
from torch.nn import functional as F


class CausalLinearAttention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim)

    def forward(self, x):
        q, k, v = self.to_qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        kv = torch.einsum("bhtd,bhte->bhtde", k, v).cumsum(dim=2)
        normaliser = torch.einsum("bhtd,bhtd->bht", q, k.cumsum(dim=2))
        out = torch.einsum("bhtd,bhtde->bhte", q, kv) / normaliser.unsqueeze(-1)
        return self.to_out(out.transpose(1, 2).flatten(2))


class LinearTransformer(nn.Module):
    def __init__(self, vocab_size=50257, dim=32, depth=2, heads=4, max_len=32):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, dim)
        self.positions = nn.Embedding(max_len, dim)
        self.attention = nn.ModuleList(CausalLinearAttention(dim, heads) for _ in range(depth))
        self.feed_forward = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim)) for _ in range(depth)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2 * depth + 1))
        self.head = nn.Linear(dim, vocab_size)

    def forward(self, ids):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
        norms = iter(self.norms)
        for attention, feed_forward in zip(self.attention, self.feed_forward):
            x = x + attention(next(norms)(x))
            x = x + feed_forward(next(norms)(x))
        return self.head(next(norms)(x))
