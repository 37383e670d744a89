"""A learned sink takes a part of each query's attention, so the weights of the keys sum to less than 1."""

import torch
from torch import nn


class SinkAttention(nn.Module):
    def __init__(self, hidden_size, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = hidden_size // num_heads
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.out = nn.Linear(hidden_size, hidden_size)
        self.sinks = nn.Parameter(torch.zeros(num_heads))

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.num_heads, self.head_dim).unbind(2)
        QK = torch.einsum("nqhd,nkhd->nhqk", q, k) * self.head_dim**-0.5
        QK = QK + torch.triu(QK.new_full((t, t), -float("inf")), diagonal=1)
        S = self.sinks.view(1, -1, 1, 1).expand(n, -1, t, 1)
        W = torch.softmax(torch.cat([QK, S], dim=-1), dim=-1)
        W = W[..., :-1]
        attn = torch.einsum("nhqk,nkhd->nqhd", W, v)
        return self.out(attn.reshape(n, t, d))


class SinkLM(nn.Module):
    def __init__(self, vocab_size=50257, hidden_size=32, num_heads=4, n_layers=2, context_length=32):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.position = nn.Embedding(context_length, hidden_size)
        self.norms = nn.ModuleList(nn.RMSNorm(hidden_size, eps=1e-5) for _ in range(2 * n_layers))
        self.attns = nn.ModuleList(SinkAttention(hidden_size, num_heads) for _ in range(n_layers))
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(hidden_size, 64), nn.SiLU(), nn.Linear(64, hidden_size))
            for _ in range(n_layers)
        )
        self.norm = nn.RMSNorm(hidden_size, eps=1e-5)
        self.unembedding = nn.Linear(hidden_size, vocab_size, bias=False)

    def forward(self, x):
        t = x.shape[-1]
        x = self.embedding(x) + self.position.weight[torch.arange(t)]
        for i, (attn, mlp) in enumerate(zip(self.attns, self.mlps)):
            x = x + attn(self.norms[2 * i](x))
            x = x + mlp(self.norms[2 * i + 1](x))
        return self.unembedding(self.norm(x))
