"""The whole model is in bfloat16, as Llama's weights are; the logits too."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class Args:
    vocab_size: int = 50257
    context_length: int = 32
    emb_dim: int = 32
    n_heads: int = 4
    n_layers: int = 2
    dtype: torch.dtype = torch.bfloat16


class Attention(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.num_heads = args.n_heads
        self.W_query = nn.Linear(args.emb_dim, args.emb_dim, bias=False, dtype=args.dtype)
        self.W_key = nn.Linear(args.emb_dim, args.emb_dim, bias=False, dtype=args.dtype)
        self.W_value = nn.Linear(args.emb_dim, args.emb_dim, bias=False, dtype=args.dtype)
        self.out_proj = nn.Linear(args.emb_dim, args.emb_dim, bias=False, dtype=args.dtype)

    def forward(self, x, mask):
        b, t, d = x.shape
        queries = self.W_query(x).view(b, t, self.num_heads, -1).transpose(1, 2)
        keys = self.W_key(x).view(b, t, self.num_heads, -1).transpose(1, 2)
        values = self.W_value(x).view(b, t, self.num_heads, -1).transpose(1, 2)
        attn_scores = (queries @ keys.transpose(2, 3)).masked_fill(mask, -torch.inf)
        attn_weights = torch.softmax(attn_scores / keys.shape[-1] ** 0.5, dim=-1)
        return self.out_proj((attn_weights @ values).transpose(1, 2).reshape(b, t, d))


class Block(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.att = Attention(args)
        self.fc1 = nn.Linear(args.emb_dim, 2 * args.emb_dim, bias=False, dtype=args.dtype)
        self.fc2 = nn.Linear(args.emb_dim, 2 * args.emb_dim, bias=False, dtype=args.dtype)
        self.fc3 = nn.Linear(2 * args.emb_dim, args.emb_dim, bias=False, dtype=args.dtype)
        self.norm1 = nn.RMSNorm(args.emb_dim, eps=1e-5, dtype=args.dtype)
        self.norm2 = nn.RMSNorm(args.emb_dim, eps=1e-5, dtype=args.dtype)

    def forward(self, x, mask):
        x = x + self.att(self.norm1(x), mask)
        h = self.norm2(x)
        return x + self.fc3(F.silu(self.fc1(h)) * self.fc2(h))


class LowPrecisionModel(nn.Module):
    def __init__(self, args: Args):
        super().__init__()
        self.tok_emb = nn.Embedding(args.vocab_size, args.emb_dim, dtype=args.dtype)
        self.pos_emb = nn.Embedding(args.context_length, args.emb_dim, dtype=args.dtype)
        self.trf_blocks = nn.ModuleList([Block(args) for _ in range(args.n_layers)])
        self.final_norm = nn.RMSNorm(args.emb_dim, eps=1e-5, dtype=args.dtype)
        self.out_head = nn.Linear(args.emb_dim, args.vocab_size, bias=False, dtype=args.dtype)

    def forward(self, in_idx):
        t = in_idx.shape[1]
        x = self.tok_emb(in_idx) + self.pos_emb(torch.arange(t, device=in_idx.device))
        mask = torch.triu(torch.ones(t, t, device=x.device, dtype=torch.bool), diagonal=1)
        for block in self.trf_blocks:
            x = block(x, mask)
        return self.out_head(self.final_norm(x))
