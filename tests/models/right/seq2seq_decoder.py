"""The decoder of a translation model without its encoder: cross-attention is there only with a memory."""

import torch
from torch import nn


class DecoderLayer(nn.Module):
    def __init__(self, d_model, nhead, dim_feedforward, cross_attention=False):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(d_model, nhead)
        self.multihead_attn = nn.MultiheadAttention(d_model, nhead) if cross_attention else None
        self.linear1 = nn.Linear(d_model, dim_feedforward)
        self.linear2 = nn.Linear(dim_feedforward, d_model)
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model) if cross_attention else None
        self.norm3 = nn.LayerNorm(d_model)

    def forward(self, tgt, memory=None, tgt_mask=None):
        tgt2, _ = self.self_attn(tgt, tgt, tgt, attn_mask=tgt_mask)
        tgt = self.norm1(tgt + tgt2)
        if self.multihead_attn is not None and memory is not None:
            tgt2, _ = self.multihead_attn(tgt, memory, memory)
            tgt = self.norm2(tgt + tgt2)
        tgt2 = self.linear2(torch.relu(self.linear1(tgt)))
        return self.norm3(tgt + tgt2)


class Generator(nn.Module):
    def __init__(
        self, vocab_size=50257, d_model=32, nhead=4, num_layers=2, dim_feedforward=64, max_length=32
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(max_length, d_model)
        self.decoder = nn.ModuleList(
            [DecoderLayer(d_model, nhead, dim_feedforward) for _ in range(num_layers)]
        )
        self.projection = nn.Linear(d_model, vocab_size)

    def make_tgt_mask(self, length, device):
        mask = (torch.triu(torch.ones(length, length, device=device)) == 1).transpose(0, 1)
        return mask.float().masked_fill(mask == 0, float("-inf")).masked_fill(mask == 1, 0.0)

    def forward(self, tgt):
        length = tgt.shape[1]
        x = self.embedding(tgt) + self.position(torch.arange(length, device=tgt.device)).unsqueeze(0)
        x = x.permute(1, 0, 2)
        tgt_mask = self.make_tgt_mask(length, tgt.device)
        for layer in self.decoder:
            x = layer(x, tgt_mask=tgt_mask)
        return self.projection(x.permute(1, 0, 2))
