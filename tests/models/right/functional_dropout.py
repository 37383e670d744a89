"""Dropout as a function that is told whether the model trains."""

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, dim, heads, p):
        super().__init__()
        self.heads, self.p = heads, p
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x):
        n, t, e = x.shape
        q = self.query(x).reshape(n, t, self.heads, e // self.heads)
        k = self.key(x).reshape(n, t, self.heads, e // self.heads)
        v = self.value(x).reshape(n, t, self.heads, e // self.heads)
        energy = torch.einsum("nqhd,nkhd->nhqk", [q, k])
        mask = torch.tril(torch.ones((t, t), device=x.device)).expand(n, 1, t, t)
        energy = energy.masked_fill(mask == 0, float("-1e20"))
        attention = torch.softmax(energy / (e // self.heads) ** 0.5, dim=3)
        attention = F.dropout(attention, p=self.p, training=self.training)
        out = torch.einsum("nhql,nlhd->nqhd", [attention, v]).reshape(n, t, e)
        return self.output(out)


class Block(nn.Module):
    def __init__(self, dim, heads, p):
        super().__init__()
        self.p = p
        self.attention = Attention(dim, heads, p)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x):
        x = x + F.dropout(self.attention(self.norm1(x)), self.p, self.training)
        hidden = F.dropout(F.relu(self.fc1(self.norm2(x))), p=self.p, training=self.training)
        return x + self.fc2(hidden)


class Decoder(nn.Module):
    def __init__(self, vocab_size=50257, dim=32, heads=4, n_layers=2, max_length=32, dropout=0.1):
        super().__init__()
        self.p = dropout
        self.word_embedding = nn.Embedding(vocab_size, dim)
        self.position_embedding = nn.Embedding(max_length, dim)
        self.layers = nn.ModuleList([Block(dim, heads, dropout) for _ in range(n_layers)])
        self.norm = nn.LayerNorm(dim)
        self.fc_out = nn.Linear(dim, vocab_size)

    def forward(self, x):
        N, seq_length = x.shape
        positions = torch.arange(0, seq_length, device=x.device).expand(N, seq_length)
        x = F.dropout(
            self.word_embedding(x) + self.position_embedding(positions), p=self.p, training=self.training
        )
        for layer in self.layers:
            x = layer(x)
        return self.fc_out(self.norm(x))
