"""A gated convolutional language model: each convolution is padded on the left alone."""

import torch.nn.functional as F
from torch import nn


class CausalConv1d(nn.Module):
    def __init__(self, channels_in, channels_out, kernel_size, dilation=1):
        super().__init__()
        self.left = (kernel_size - 1) * dilation
        self.conv = nn.Conv1d(channels_in, channels_out, kernel_size, dilation=dilation)

    def forward(self, x):
        x = F.pad(x, (self.left, 0))
        return self.conv(x)


class GatedBlock(nn.Module):
    def __init__(self, channels, kernel_size, dilation):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.conv = CausalConv1d(channels, 2 * channels, kernel_size, dilation)
        self.out = nn.Linear(channels, channels)

    def forward(self, x):
        h = self.norm(x).transpose(1, 2)  # (B, T, C) -> (B, C, T)
        h = F.glu(self.conv(h), dim=1)
        return x + self.out(h.transpose(1, 2))


class ConvLM(nn.Module):
    def __init__(self, vocab_size=50257, channels=32, n_layers=3, kernel_size=3):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, channels)
        self.blocks = nn.ModuleList([GatedBlock(channels, kernel_size, 2**i) for i in range(n_layers)])
        self.norm = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, vocab_size)

    def forward(self, ids):
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))
