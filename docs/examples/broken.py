"""A GPT with a mistake in it, for the README: ff leaves a width that out_head does not take."""

import torch
from torch import nn


class GPT(nn.Module):
    def __init__(self, vocab_size=50257, emb_dim=48, context_length=64):
        super().__init__()
        self.tok_emb = nn.Embedding(vocab_size, emb_dim)
        self.pos_emb = nn.Embedding(context_length, emb_dim)
        self.ff = nn.Linear(emb_dim, 4 * emb_dim)
        self.final_norm = nn.LayerNorm(4 * emb_dim)
        self.out_head = nn.Linear(emb_dim, vocab_size)

    def forward(self, ids):
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))
        return self.out_head(self.final_norm(self.ff(x)))
