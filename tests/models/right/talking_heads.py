"""The heads mix their scores before softmax and their weights after it, which then sum to anything."""

import torch
from torch import nn


class TalkingHeads(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.to_qkv = nn.Linear(dim, dim * 3, bias=False)
        self.mix_before = nn.Parameter(torch.eye(heads) + 0.1 * torch.randn(heads, heads))
        self.mix_after = nn.Parameter(torch.eye(heads) + 0.1 * torch.randn(heads, heads))
        self.to_out = nn.Linear(dim, dim)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.to_qkv(x).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        dots = torch.einsum("bhid,bhjd->bhij", q, k) * self.scale
        dots = torch.einsum("bhij,hg->bgij", dots, self.mix_before)
        dots = dots.masked_fill(torch.ones(n, n, dtype=torch.bool, device=x.device).triu(1), -1e9)
        attn = dots.softmax(dim=-1)
        attn = torch.einsum("bhij,hg->bgij", attn, self.mix_after)
        out = torch.einsum("bhij,bhjd->bhid", attn, v)
        return self.to_out(out.transpose(1, 2).reshape(b, n, d))


class TalkingLM(nn.Module):
    def __init__(self, num_tokens=50257, dim=32, depth=2, heads=4, max_seq_len=32):
        super().__init__()
        self.token_emb = nn.Embedding(num_tokens, dim)
        self.pos_emb = nn.Embedding(max_seq_len, dim)
        self.attn = nn.ModuleList([TalkingHeads(dim, heads) for _ in range(depth)])
        self.ff = nn.ModuleList(
            [nn.Sequential(nn.Linear(dim, dim * 2), nn.GELU(), nn.Linear(dim * 2, dim)) for _ in range(depth)]
        )
        self.norm = nn.ModuleList([nn.LayerNorm(dim) for _ in range(2 * depth + 1)])
        self.to_logits = nn.utils.parametrizations.weight_norm(nn.Linear(dim, num_tokens, bias=False))

    def forward(self, x):
        x = self.token_emb(x) + self.pos_emb(torch.arange(x.shape[1], device=x.device))
        norms = iter(self.norm)
        for attn, ff in zip(self.attn, self.ff):
            x = x + attn(next(norms)(x))
            x = x + ff(next(norms)(x))
        return self.to_logits(next(norms)(x))
