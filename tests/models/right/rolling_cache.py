"""A sliding window, and a cache of the keys that it can still reach (Mistral's rolling buffer)."""

import torch
from torch import nn


class RollingAttention(nn.Module):
    def __init__(self, dim, n_heads, window):
        super().__init__()
        self.n_heads, self.window = n_heads, window
        self.head_dim = dim // n_heads
        self.wq = nn.Linear(dim, dim, bias=False)
        self.wk = nn.Linear(dim, dim, bias=False)
        self.wv = nn.Linear(dim, dim, bias=False)
        self.wo = nn.Linear(dim, dim, bias=False)
        self.reset()

    def reset(self):
        self.cached_keys = None
        self.cached_values = None
        self.cached_positions = None

    def forward(self, x, positions, use_cache):
        b, t, d = x.shape
        q = self.wq(x).view(b, t, self.n_heads, self.head_dim).transpose(1, 2)
        k = self.wk(x).view(b, t, self.n_heads, self.head_dim).transpose(1, 2)
        v = self.wv(x).view(b, t, self.n_heads, self.head_dim).transpose(1, 2)
        key_positions = positions
        if use_cache:
            if self.cached_keys is not None:
                k = torch.cat([self.cached_keys, k], dim=2)
                v = torch.cat([self.cached_values, v], dim=2)
                key_positions = torch.cat([self.cached_positions, positions])
            self.cached_keys = k[:, :, -self.window :]
            self.cached_values = v[:, :, -self.window :]
            self.cached_positions = key_positions[-self.window :]

        distance = positions[:, None] - key_positions[None, :]
        hidden = (distance < 0) | (distance >= self.window)
        # A slope for each head makes near tokens count more; there is no table of positions to run out of.
        slopes = 2.0 ** -torch.arange(1, self.n_heads + 1, device=x.device)
        bias = -slopes[:, None, None] * distance.clamp(min=0)
        scores = q @ k.transpose(2, 3) / self.head_dim**0.5 + bias
        weights = scores.masked_fill(hidden, float("-inf")).softmax(dim=-1)
        return self.wo((weights @ v).transpose(1, 2).reshape(b, t, d))


class RollingBlock(nn.Module):
    def __init__(self, dim, n_heads, window):
        super().__init__()
        self.norm1 = nn.RMSNorm(dim, eps=1e-5)
        self.attention = RollingAttention(dim, n_heads, window)
        self.norm2 = nn.RMSNorm(dim, eps=1e-5)
        self.w1 = nn.Linear(dim, 2 * dim, bias=False)
        self.w2 = nn.Linear(2 * dim, dim, bias=False)

    def forward(self, x, positions, use_cache):
        x = x + self.attention(self.norm1(x), positions, use_cache)
        return x + self.w2(nn.functional.silu(self.w1(self.norm2(x))))


class RollingLM(nn.Module):
    def __init__(self, vocab_size=50257, dim=32, n_heads=4, n_layers=2, window=4):
        super().__init__()
        self.tok_embeddings = nn.Embedding(vocab_size, dim)
        self.layers = nn.ModuleList([RollingBlock(dim, n_heads, window) for _ in range(n_layers)])
        self.norm = nn.RMSNorm(dim, eps=1e-5)
        self.output = nn.Linear(dim, vocab_size, bias=False)
        self.seen = 0

    def forward(self, ids, use_cache=False):
        start = self.seen if use_cache else 0
        positions = torch.arange(start, start + ids.shape[1], device=ids.device)
        if use_cache:
            self.seen += ids.shape[1]
        x = self.tok_embeddings(ids)
        for layer in self.layers:
            x = layer(x, positions, use_cache)
        return self.output(self.norm(x))

    def reset_kv_cache(self):
        self.seen = 0
        for layer in self.layers:
            layer.attention.reset()
