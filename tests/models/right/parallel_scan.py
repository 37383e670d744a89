"""A gated linear recurrence, computed in log2(T) steps of shifts: each step reaches twice as far back."""

import torch
import torch.nn.functional as F
from torch import nn


def parallel_scan(gates, values):
    """h[t] = gates[t] * h[t - 1] + values[t], for all t at once."""
    length, distance = values.shape[1], 1
    while distance < length:
        earlier_values = F.pad(values, (0, 0, distance, 0))[:, :length]
        earlier_gates = F.pad(gates, (0, 0, distance, 0), value=1.0)[:, :length]
        values = values + gates * earlier_values
        gates = gates * earlier_gates
        distance *= 2
    return values


class MinGRU(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.to_hidden_and_gate = nn.Linear(dim, 2 * dim)
        self.to_out = nn.Linear(dim, dim)

    def forward(self, x):
        hidden, gate = self.to_hidden_and_gate(x).chunk(2, dim=-1)
        z = gate.sigmoid()
        return self.to_out(parallel_scan(1 - z, z * torch.tanh(hidden)))


class ScanLM(nn.Module):
    def __init__(self, num_tokens=50257, dim=32, depth=2):
        super().__init__()
        self.token_emb = nn.Embedding(num_tokens, dim)
        self.layers = nn.ModuleList()
        for _ in range(depth):
            mixer, ff = (
                MinGRU(dim),
                nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim)),
            )
            self.layers.append(
                nn.ModuleList([nn.RMSNorm(dim, eps=1e-5), mixer, nn.RMSNorm(dim, eps=1e-5), ff])
            )
        self.norm = nn.RMSNorm(dim, eps=1e-5)
        self.to_logits = nn.Linear(dim, num_tokens, bias=False)

    def forward(self, ids):
        x = self.token_emb(ids)
        for norm, mixer, ff_norm, ff in self.layers:
            x = mixer(norm(x)) + x
            x = ff(ff_norm(x)) + x
        return self.to_logits(self.norm(x))
