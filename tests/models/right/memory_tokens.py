"""Learned memory tokens stand before the text, which every token sees; they are taken off before the head."""

import torch
from torch import nn
from torch.nn import functional as F


class MemoryBlock(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.proj = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x, mask):
        b, n, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.proj(out.permute(0, 2, 1, 3).reshape(b, n, d))
        return x + self.mlp(self.norm2(x))


class MemoryLM(nn.Module):
    def __init__(self, vocab_size=50257, dim=32, heads=4, n_layers=2, context_length=32, num_memory=3):
        super().__init__()
        self.num_memory = num_memory
        self.memory = nn.Parameter(torch.randn(num_memory, dim))
        self.tok = nn.Embedding(vocab_size, dim)
        self.pos = nn.Embedding(context_length, dim)
        self.blocks = nn.ModuleList([MemoryBlock(dim, heads) for _ in range(n_layers)])
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocab_size)

    def forward(self, ids):
        b, t = ids.shape
        m = self.num_memory
        x = self.tok(ids) + self.pos(torch.arange(t, device=ids.device))
        x = torch.cat([self.memory.expand(b, -1, -1), x], dim=1)
        # Row i of the mask: the memory, and the tokens up to i. The memory sees itself alone.
        mask = torch.ones(m + t, m + t, dtype=torch.bool, device=ids.device).tril()
        mask[:m, :m] = True
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x[:, m:]))
