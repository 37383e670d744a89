"""One block that runs several times, chunked queries, and the last norm used again: all on purpose."""

import torch
from torch import nn


class ChunkedAttention(nn.Module):
    """Queries go through in chunks of four; each chunk sees the keys up to its own end."""

    def __init__(self, dim, heads, chunk=4):
        super().__init__()
        self.heads, self.chunk = heads, chunk
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.o = nn.Linear(dim, dim)

    def forward(self, x):
        b, t, d = x.shape
        shape = (b, t, self.heads, d // self.heads)
        q, k, v = self.q(x).view(shape), self.k(x).view(shape), self.v(x).view(shape)
        outputs = []
        for start in range(0, t, self.chunk):
            stop = min(start + self.chunk, t)
            scores = torch.einsum("bqhd,bkhd->bhqk", q[:, start:stop], k[:, :stop]) / shape[-1] ** 0.5
            rows = torch.arange(start, stop, device=x.device)[:, None]
            columns = torch.arange(stop, device=x.device)[None, :]
            scores = scores.masked_fill(columns > rows, float("-inf"))
            outputs.append(torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v[:, :stop]))
        return self.o(torch.cat(outputs, dim=1).reshape(b, t, d))


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = ChunkedAttention(dim, heads)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x):
        x = x + self.attention(self.norm(x))
        return x + self.mlp(self.norm(x))


class UniversalTransformer(nn.Module):
    def __init__(self, vocab_size=50257, dim=32, heads=4, repeats=3, context_length=32):
        super().__init__()
        self.repeats = repeats
        self.embedding = nn.ModuleDict(
            {"token": nn.Embedding(vocab_size, dim), "position": nn.Embedding(context_length, dim)}
        )
        self.block = Block(dim, heads)
        self.final = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocab_size)

    def forward(self, ids):
        x = self.embedding["token"](ids) + self.embedding["position"](
            torch.arange(ids.shape[1], device=ids.device)
        )
        for _ in range(self.repeats):
            x = self.block(x)
        return self.head(self.final(x))
