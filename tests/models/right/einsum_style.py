"""Attention as einsum over weights that have their heads as an axis."""

import torch
from torch import einsum, nn


class Attention(nn.Module):
    def __init__(self, d_model, n_heads, d_head):
        super().__init__()
        self.W_Q = nn.Parameter(torch.randn(n_heads, d_model, d_head) / d_model**0.5)
        self.W_K = nn.Parameter(torch.randn(n_heads, d_model, d_head) / d_model**0.5)
        self.W_V = nn.Parameter(torch.randn(n_heads, d_model, d_head) / d_model**0.5)
        self.W_O = nn.Parameter(torch.randn(n_heads, d_head, d_model) / d_model**0.5)
        self.b_O = nn.Parameter(torch.zeros(d_model))
        self.scale = d_head**-0.5

    def forward(self, x):
        q = einsum("b t m, h m d -> b h t d", x, self.W_Q)
        k = einsum("b t m, h m d -> b h t d", x, self.W_K)
        v = einsum("b t m, h m d -> b h t d", x, self.W_V)

        scores = einsum("b h q d, b h k d -> b h q k", q, k) * self.scale
        t = x.shape[1]
        causal = torch.arange(t)[:, None] >= torch.arange(t)[None, :]
        scores = scores.masked_fill(~causal.to(x.device), -1e9)
        pattern = scores.softmax(dim=-1)

        z = einsum("b h q k, b h k d -> b h q d", pattern, v)
        return einsum("b h q d, h d m -> b q m", z, self.W_O) + self.b_O


class Block(nn.Module):
    def __init__(self, d_model, n_heads, d_head, d_mlp):
        super().__init__()
        self.ln1 = nn.LayerNorm(d_model)
        self.attn = Attention(d_model, n_heads, d_head)
        self.ln2 = nn.LayerNorm(d_model)
        self.W_in = nn.Linear(d_model, d_mlp)
        self.W_out = nn.Linear(d_mlp, d_model)

    def forward(self, resid):
        resid = resid + self.attn(self.ln1(resid))
        return resid + self.W_out(torch.relu(self.W_in(self.ln2(resid))))


class DemoTransformer(nn.Module):
    def __init__(self, vocab_size=50257, d_model=32, n_heads=4, d_head=8, d_mlp=64, n_layers=2, n_ctx=32):
        super().__init__()
        self.W_E = nn.Parameter(torch.randn(vocab_size, d_model) * 0.5)
        self.W_pos = nn.Parameter(torch.randn(n_ctx, d_model) * 0.5)
        self.blocks = nn.ModuleList(Block(d_model, n_heads, d_head, d_mlp) for _ in range(n_layers))
        self.ln_final = nn.LayerNorm(d_model)
        self.W_U = nn.Parameter(torch.randn(d_model, vocab_size) * 0.5 / d_model**0.5)

    def forward(self, tokens):
        resid = self.W_E[tokens] + self.W_pos[: tokens.shape[1]]
        for block in self.blocks:
            resid = block(resid)
        return einsum("b t m, m v -> b t v", self.ln_final(resid), self.W_U)
