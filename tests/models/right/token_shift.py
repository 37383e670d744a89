"""Time mixing with a decay and a shift by one token, in the manner of RWKV 4."""

import torch
from torch import nn


class TimeMix(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.time_decay = nn.Parameter(torch.linspace(-3.0, 0.5, dim))
        self.time_first = nn.Parameter(torch.zeros(dim))
        self.mix_k = nn.Parameter(torch.full((1, 1, dim), 0.6))
        self.mix_v = nn.Parameter(torch.full((1, 1, dim), 0.5))
        self.mix_r = nn.Parameter(torch.full((1, 1, dim), 0.4))
        self.shift = nn.ZeroPad2d((0, 0, 1, -1))
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)
        self.receptance = nn.Linear(dim, dim, bias=False)
        self.output = nn.Linear(dim, dim, bias=False)

    def forward(self, x):
        xx = self.shift(x)
        k = self.key(x * self.mix_k + xx * (1 - self.mix_k))
        v = self.value(x * self.mix_v + xx * (1 - self.mix_v))
        r = torch.sigmoid(self.receptance(x * self.mix_r + xx * (1 - self.mix_r)))
        decay = torch.exp(-torch.exp(self.time_decay))
        numerator = torch.zeros_like(x[:, 0])
        denominator = torch.zeros_like(x[:, 0])
        steps = []
        for t in range(x.shape[1]):
            now = torch.exp((self.time_first + k[:, t]).clamp(max=30.0))
            steps.append((numerator + now * v[:, t]) / (denominator + now))
            weight = torch.exp(k[:, t].clamp(max=30.0))
            numerator = decay * numerator + weight * v[:, t]
            denominator = decay * denominator + weight
        return self.output(r * torch.stack(steps, dim=1))


class ChannelMix(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.mix = nn.Parameter(torch.full((1, 1, dim), 0.5))
        self.shift = nn.ZeroPad2d((0, 0, 1, -1))
        self.key = nn.Linear(dim, 4 * dim, bias=False)
        self.receptance = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(4 * dim, dim, bias=False)

    def forward(self, x):
        mixed = x * self.mix + self.shift(x) * (1 - self.mix)
        k = torch.square(torch.relu(self.key(mixed)))
        return torch.sigmoid(self.receptance(mixed)) * self.value(k)


class RWKV(nn.Module):
    def __init__(self, vocab_size=50257, dim=24, n_layer=2):
        super().__init__()
        self.emb = nn.Embedding(vocab_size, dim)
        self.ln0 = nn.LayerNorm(dim)
        self.att = nn.ModuleList(TimeMix(dim) for _ in range(n_layer))
        self.ffn = nn.ModuleList(ChannelMix(dim) for _ in range(n_layer))
        self.ln1 = nn.ModuleList(nn.LayerNorm(dim) for _ in range(n_layer))
        self.ln2 = nn.ModuleList(nn.LayerNorm(dim) for _ in range(n_layer))
        self.ln_out = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocab_size, bias=False)

    def forward(self, idx):
        x = self.ln0(self.emb(idx))
        for att, ffn, ln1, ln2 in zip(self.att, self.ffn, self.ln1, self.ln2):
            x = x + att(ln1(x))
            x = x + ffn(ln2(x))
        return self.head(self.ln_out(x))
