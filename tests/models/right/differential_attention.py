"""Each head subtracts a second attention map from the first, so weights may be negative."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class DiffAttention(nn.Module):
    def __init__(self, embed_dim, num_heads, depth):
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads // 2
        self.q_proj = nn.Linear(embed_dim, embed_dim, bias=False)
        self.k_proj = nn.Linear(embed_dim, embed_dim, bias=False)
        self.v_proj = nn.Linear(embed_dim, embed_dim, bias=False)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=False)
        self.lambda_init = 0.8 - 0.6 * math.exp(-0.3 * depth)
        self.lambda_q1 = nn.Parameter(torch.randn(self.head_dim) * 0.1)
        self.lambda_k1 = nn.Parameter(torch.randn(self.head_dim) * 0.1)
        self.lambda_q2 = nn.Parameter(torch.randn(self.head_dim) * 0.1)
        self.lambda_k2 = nn.Parameter(torch.randn(self.head_dim) * 0.1)
        self.subln = nn.RMSNorm(2 * self.head_dim, eps=1e-5)

    def forward(self, x):
        bsz, length, _ = x.size()
        q = self.q_proj(x).view(bsz, length, 2 * self.num_heads, self.head_dim).transpose(1, 2)
        k = self.k_proj(x).view(bsz, length, 2 * self.num_heads, self.head_dim).transpose(1, 2)
        v = self.v_proj(x).view(bsz, length, self.num_heads, 2 * self.head_dim).transpose(1, 2)
        attn_weights = torch.matmul(q * self.head_dim**-0.5, k.transpose(-1, -2))
        attn_weights += torch.triu(torch.full((length, length), float("-inf"), device=x.device), 1)
        attn_weights = F.softmax(attn_weights, dim=-1, dtype=torch.float32).type_as(attn_weights)
        lambda_1 = torch.exp(torch.sum(self.lambda_q1 * self.lambda_k1))
        lambda_2 = torch.exp(torch.sum(self.lambda_q2 * self.lambda_k2))
        lambda_full = lambda_1 - lambda_2 + self.lambda_init
        attn_weights = attn_weights.view(bsz, self.num_heads, 2, length, length)
        attn_weights = attn_weights[:, :, 0] - lambda_full * attn_weights[:, :, 1]
        attn = self.subln(torch.matmul(attn_weights, v)) * (1 - self.lambda_init)
        return self.out_proj(attn.transpose(1, 2).reshape(bsz, length, -1))


class DiffTransformer(nn.Module):
    def __init__(self, vocab_size=50257, embed_dim=32, num_heads=2, n_layers=2, max_positions=32):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, embed_dim)
        self.positions = nn.Embedding(max_positions, embed_dim)
        self.attn = nn.ModuleList([DiffAttention(embed_dim, num_heads, depth) for depth in range(n_layers)])
        self.gate = nn.ModuleList([nn.Linear(embed_dim, 2 * embed_dim) for _ in range(n_layers)])
        self.ffn = nn.ModuleList([nn.Linear(embed_dim, embed_dim) for _ in range(n_layers)])
        self.norms = nn.ModuleList([nn.RMSNorm(embed_dim, eps=1e-5) for _ in range(2 * n_layers + 1)])
        self.output = nn.Linear(embed_dim, vocab_size, bias=False)

    def forward(self, ids):
        x = self.embed(ids) + self.positions(torch.arange(ids.size(1), device=ids.device))
        for i in range(len(self.attn)):
            x = x + self.attn[i](self.norms[2 * i](x))
            x = x + self.ffn[i](F.glu(self.gate[i](self.norms[2 * i + 1](x)), dim=-1))
        return self.output(self.norms[-1](x))
