"""Tables of angles and the mask are made at first use, kept in buffers, and grow with longer texts."""

import torch
from torch import nn
from torch.nn import functional as F


class LazyRotary(nn.Module):
    def __init__(self, dim, base=10000.0):
        super().__init__()
        self.dim, self.base = dim, base
        self.register_buffer("cos_cached", None, persistent=False)
        self.register_buffer("sin_cached", None, persistent=False)

    def _update(self, length, device):
        if self.cos_cached is None or length > self.cos_cached.shape[0]:
            inv_freq = 1.0 / self.base ** (torch.arange(0, self.dim, 2, device=device).float() / self.dim)
            freqs = torch.einsum("i,j->ij", torch.arange(length, device=device).float(), inv_freq)
            emb = torch.cat((freqs, freqs), dim=-1)
            self.cos_cached, self.sin_cached = emb.cos(), emb.sin()

    def forward(self, q, k):
        length = q.shape[-2]
        self._update(length, q.device)
        cos, sin = self.cos_cached[:length], self.sin_cached[:length]
        return self._rotate(q, cos, sin), self._rotate(k, cos, sin)

    @staticmethod
    def _rotate(x, cos, sin):
        x1, x2 = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
        return x * cos + torch.cat((-x2, x1), dim=-1) * sin


class LazyAttention(nn.Module):
    def __init__(self, hidden, heads):
        super().__init__()
        self.heads = heads
        self.rotary = LazyRotary(hidden // heads)
        self.query_key_value = nn.Linear(hidden, 3 * hidden)
        self.dense = nn.Linear(hidden, hidden)
        self.register_buffer("mask", None, persistent=False)

    def get_mask(self, length, device):
        if self.mask is None or self.mask.shape[-1] < length:
            self.mask = torch.ones(length, length, dtype=torch.bool, device=device).tril()
        return self.mask[:length, :length]

    def forward(self, x):
        b, t, d = x.shape
        qkv = self.query_key_value(x).view(b, t, self.heads, 3 * (d // self.heads)).transpose(1, 2)
        q, k, v = qkv.chunk(3, dim=-1)
        q, k = self.rotary(q, k)
        scores = q @ k.transpose(-1, -2) * (d // self.heads) ** -0.5
        scores = scores.masked_fill(~self.get_mask(t, x.device), float("-inf"))
        return self.dense((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d))


class NeoXLayer(nn.Module):
    def __init__(self, hidden, heads):
        super().__init__()
        self.input_layernorm = nn.LayerNorm(hidden)
        self.post_attention_layernorm = nn.LayerNorm(hidden)
        self.attention = LazyAttention(hidden, heads)
        self.mlp = nn.Sequential(nn.Linear(hidden, 4 * hidden), nn.GELU(), nn.Linear(4 * hidden, hidden))

    def forward(self, x):
        return x + self.attention(self.input_layernorm(x)) + self.mlp(self.post_attention_layernorm(x))


class NeoX(nn.Module):
    def __init__(self, vocab_size=50257, hidden_size=32, num_attention_heads=4, num_layers=2):
        super().__init__()
        self.embed_in = nn.Embedding(vocab_size, hidden_size)
        self.layers = nn.ModuleList([NeoXLayer(hidden_size, num_attention_heads) for _ in range(num_layers)])
        self.final_layer_norm = nn.LayerNorm(hidden_size)
        self.embed_out = nn.Linear(hidden_size, vocab_size, bias=False)

    def forward(self, input_ids):
        x = self.embed_in(input_ids)
        for layer in self.layers:
            x = layer(x)
        return F.linear(self.final_layer_norm(x), self.embed_out.weight)
