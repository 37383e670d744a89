"""A feed-forward network of which each token uses two of four experts."""

import torch
from torch import nn
from torch.nn import functional as F


class Expert(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(d_model, d_ff), nn.GELU(), nn.Linear(d_ff, d_model))

    def forward(self, x):
        return self.net(x)


class SparseMoE(nn.Module):
    def __init__(self, d_model, d_ff, num_experts, top_k):
        super().__init__()
        self.top_k = top_k
        self.router = nn.Linear(d_model, num_experts, bias=False)
        self.experts = nn.ModuleList([Expert(d_model, d_ff) for _ in range(num_experts)])

    def forward(self, x):
        B, T, D = x.shape
        flat = x.reshape(B * T, D)
        router_logits = self.router(flat)
        weights, chosen = torch.topk(router_logits, self.top_k, dim=-1)
        weights = F.softmax(weights, dim=-1)
        out = torch.zeros_like(flat)
        for i, expert in enumerate(self.experts):
            token_idx, slot = torch.where(chosen == i)
            if token_idx.numel() == 0:
                continue
            out.index_add_(0, token_idx, expert(flat[token_idx]) * weights[token_idx, slot, None])
        return out.view(B, T, D)


class SelfAttention(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.wq = nn.Linear(d_model, d_model)
        self.wk = nn.Linear(d_model, d_model)
        self.wv = nn.Linear(d_model, d_model)
        self.wo = nn.Linear(d_model, d_model)

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = (
            w(x).view(B, T, self.n_heads, D // self.n_heads).transpose(1, 2)
            for w in (self.wq, self.wk, self.wv)
        )
        mask = torch.ones(T, T, device=x.device).tril().bool()
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.wo(y.transpose(1, 2).contiguous().view(B, T, D))


class MoEBlock(nn.Module):
    def __init__(self, d_model, n_heads, d_ff, num_experts, top_k):
        super().__init__()
        self.norm1 = nn.LayerNorm(d_model)
        self.attn = SelfAttention(d_model, n_heads)
        self.norm2 = nn.LayerNorm(d_model)
        self.moe = SparseMoE(d_model, d_ff, num_experts, top_k)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.moe(self.norm2(x))


class MoETransformer(nn.Module):
    def __init__(
        self, vocab_size=50257, d_model=32, n_heads=4, n_layers=2, d_ff=48, num_experts=4, top_k=2, max_len=32
    ):
        super().__init__()
        self.tok = nn.Embedding(vocab_size, d_model)
        self.pos = nn.Embedding(max_len, d_model)
        self.blocks = nn.Sequential(
            *(MoEBlock(d_model, n_heads, d_ff, num_experts, top_k) for _ in range(n_layers))
        )
        self.norm = nn.LayerNorm(d_model)
        self.lm_head = nn.Linear(d_model, vocab_size, bias=False)

    def forward(self, ids):
        pos = torch.arange(ids.size(1), device=ids.device)
        x = self.tok(ids) + self.pos(pos)
        return self.lm_head(self.norm(self.blocks(x)))
