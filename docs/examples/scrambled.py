"""A GPT with a mistake in it that raises no error: reshape makes heads without a transpose."""

import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, emb_dim, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(emb_dim, 3 * emb_dim)
        self.out_proj = nn.Linear(emb_dim, emb_dim)

    def forward(self, x):
        B, T, D = x.shape
        queries, keys, values = self.qkv(x).chunk(3, dim=-1)
        queries = queries.reshape(B, self.n_heads, T, D // self.n_heads)
        keys = keys.reshape(B, self.n_heads, T, D // self.n_heads)
        values = values.reshape(B, self.n_heads, T, D // self.n_heads)
        context = nn.functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        return self.out_proj(context.transpose(1, 2).reshape(B, T, D))


class GPT(nn.Module):
    def __init__(self, vocab_size=50257, emb_dim=48, n_heads=4, context_length=64):
        super().__init__()
        self.tok_emb = nn.Embedding(vocab_size, emb_dim)
        self.pos_emb = nn.Embedding(context_length, emb_dim)
        self.norm = nn.LayerNorm(emb_dim)
        self.att = Attention(emb_dim, n_heads)
        self.out_head = nn.Linear(emb_dim, vocab_size)

    def forward(self, ids):
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))
        x = x + self.att(self.norm(x))
        return self.out_head(x)
