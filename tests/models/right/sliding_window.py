"""Each token attends to itself and the few tokens before it: a sliding window, as in Mistral."""

import torch
from torch import nn


class WindowAttention(nn.Module):
    def __init__(self, d_model, n_heads, window):
        super().__init__()
        self.n_heads, self.window = n_heads, window
        self.d_head = d_model // n_heads
        self.q, self.k, self.v, self.o = (nn.Linear(d_model, d_model, bias=False) for _ in range(4))

    def split_heads(self, x):
        return x.unflatten(-1, (self.n_heads, self.d_head)).transpose(-3, -2)

    def forward(self, x):
        q, k, v = self.split_heads(self.q(x)), self.split_heads(self.k(x)), self.split_heads(self.v(x))
        i = torch.arange(x.shape[-2], device=x.device).unsqueeze(-1)
        j = torch.arange(x.shape[-2], device=x.device).unsqueeze(0)
        visible = (j <= i) & (i - j < self.window)
        scores = torch.einsum("...qd,...kd->...qk", q, k) / self.d_head**0.5
        scores = scores.masked_fill(~visible, float("-inf"))
        out = scores.softmax(-1) @ v
        return self.o(out.transpose(-3, -2).flatten(-2))


class Mistral(nn.Module):
    def __init__(self, vocab_size=50257, context_length=32, d_model=32, n_heads=4, n_layers=2, window=5):
        super().__init__()
        self.emb = nn.Embedding(vocab_size, d_model)
        self.pos = nn.Embedding(context_length, d_model)
        self.attention = nn.ModuleList(WindowAttention(d_model, n_heads, window) for _ in range(n_layers))
        self.ff_in = nn.ModuleList(nn.Linear(d_model, 4 * d_model) for _ in range(n_layers))
        self.ff_out = nn.ModuleList(nn.Linear(4 * d_model, d_model) for _ in range(n_layers))
        self.norms = nn.ModuleList(nn.RMSNorm(d_model, eps=1e-5) for _ in range(2 * n_layers + 1))
        self.head = nn.Linear(d_model, vocab_size, bias=False)

    def forward(self, ids):
        x = self.emb(ids) + self.pos(torch.arange(ids.shape[-1], device=ids.device))
        for i, attention in enumerate(self.attention):
            x = x + attention(self.norms[2 * i](x))
            x = x + self.ff_out[i](torch.nn.functional.gelu(self.ff_in[i](self.norms[2 * i + 1](x))))
        return self.head(self.norms[-1](x))
