"""A GPT with a mistake in it that raises no error: the result of masked_fill is not used."""

import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, emb_dim, n_heads, context_length):
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(emb_dim, 3 * emb_dim)
        self.out_proj = nn.Linear(emb_dim, emb_dim)
        mask = torch.ones(context_length, context_length, dtype=torch.bool).triu(diagonal=1)
        self.register_buffer("mask", mask)

    def forward(self, x):
        B, T, D = x.shape
        heads = self.qkv(x).view(B, T, 3, self.n_heads, D // self.n_heads)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)
        scores = queries @ keys.transpose(2, 3) / keys.shape[-1] ** 0.5
        scores.masked_fill(self.mask[:T, :T], -torch.inf)
        weights = torch.softmax(scores, dim=-1)
        return self.out_proj((weights @ values).transpose(1, 2).reshape(B, T, D))


class GPT(nn.Module):
    def __init__(self, vocab_size=50257, emb_dim=48, n_heads=4, context_length=64):
        super().__init__()
        self.tok_emb = nn.Embedding(vocab_size, emb_dim)
        self.pos_emb = nn.Embedding(context_length, emb_dim)
        self.norm = nn.LayerNorm(emb_dim)
        self.att = Attention(emb_dim, n_heads, context_length)
        self.out_head = nn.Linear(emb_dim, vocab_size)

    def forward(self, ids):
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))
        x = x + self.att(self.norm(x))
        return self.out_head(x)
