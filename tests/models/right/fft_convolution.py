"""A long convolution by FFT: padded with as many zeros as there are tokens, so nothing wraps around."""

import torch
from torch import nn


class LongConv(nn.Module):
    def __init__(self, dim, max_length):
        super().__init__()
        decay = torch.exp(-0.15 * torch.arange(max_length))
        self.filter = nn.Parameter(torch.randn(dim, max_length) * decay)
        self.gate = nn.Linear(dim, dim)
        self.inp = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, u):
        length = u.shape[1]
        x = self.inp(u).transpose(1, 2)
        spectrum = torch.fft.rfft(x, n=2 * length)
        response = torch.fft.rfft(self.filter[:, :length], n=2 * length)
        y = torch.fft.irfft(spectrum * response, n=2 * length)[..., :length]
        return self.out(y.transpose(1, 2) * torch.sigmoid(self.gate(u)))


class HyenaLM(nn.Module):
    def __init__(self, vocab_size=50257, dim=32, n_layers=2, max_length=32):
        super().__init__()
        self.max_length = max_length
        self.embed = nn.Embedding(vocab_size, dim)
        self.mixers = nn.ModuleList([LongConv(dim, max_length) for _ in range(n_layers)])
        self.mlps = nn.ModuleList(
            [
                nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
                for _ in range(n_layers)
            ]
        )
        self.norms = nn.ModuleList([nn.LayerNorm(dim) for _ in range(2 * n_layers + 1)])
        self.head = nn.Linear(dim, vocab_size)

    def forward(self, ids):
        if ids.shape[1] > self.max_length:
            raise ValueError(f"at most {self.max_length} tokens")
        x = self.embed(ids)
        for i, (mixer, mlp) in enumerate(zip(self.mixers, self.mlps)):
            x = x + mixer(self.norms[2 * i](x))
            x = x + mlp(self.norms[2 * i + 1](x))
        return self.head(self.norms[-1](x))
