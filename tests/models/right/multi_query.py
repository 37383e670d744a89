"""Multi-query attention: every head has its own queries, and all share one key and one value."""

import torch
from torch import nn


class MultiQueryAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.head_width = width // heads
        self.c_attn = nn.Linear(width, width + 2 * self.head_width)
        self.c_proj = nn.Linear(width, width)

    def forward(self, x):
        batch, steps, width = x.size()
        query, key_value = self.c_attn(x).split((width, 2 * self.head_width), dim=2)
        key, value = key_value.split(self.head_width, dim=-1)

        # (batch, steps, heads, head_width) -> (batch, steps * heads, head_width): one matrix product for all
        query = query.reshape(batch, steps * self.heads, self.head_width)
        scores = torch.bmm(query, key.transpose(1, 2)) * self.head_width**-0.5
        scores = scores.view(batch, steps, self.heads, steps)

        allowed = torch.ones(steps, steps, dtype=torch.bool, device=x.device).tril()
        allowed = allowed.view(1, steps, 1, steps)
        scores = torch.where(allowed, scores, torch.finfo(scores.dtype).min)
        weights = nn.functional.softmax(scores, dim=-1)

        out = torch.bmm(weights.view(batch, steps * self.heads, steps), value)
        out = out.view(batch, steps, width)
        return self.c_proj(out)


class BigCode(nn.Module):
    def __init__(self, vocab_size=50257, n_positions=32, n_embd=32, n_head=4, n_layer=2):
        super().__init__()
        self.wte = nn.Embedding(vocab_size, n_embd)
        self.wpe = nn.Embedding(n_positions, n_embd)
        self.h = nn.ModuleList()
        for _ in range(n_layer):
            block = nn.ModuleDict()
            block["ln_1"] = nn.LayerNorm(n_embd)
            block["attn"] = MultiQueryAttention(n_embd, n_head)
            block["ln_2"] = nn.LayerNorm(n_embd)
            block["c_fc"] = nn.Linear(n_embd, 4 * n_embd)
            block["c_proj"] = nn.Linear(4 * n_embd, n_embd)
            self.h.append(block)
        self.ln_f = nn.LayerNorm(n_embd)
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)

    def forward(self, input_ids):
        position_ids = torch.arange(input_ids.shape[-1], device=input_ids.device)
        hidden = self.wte(input_ids) + self.wpe(position_ids)
        for block in self.h:
            hidden = hidden + block["attn"](block["ln_1"](hidden))
            inner = nn.functional.gelu(block["c_fc"](block["ln_2"](hidden)), approximate="tanh")
            hidden = hidden + block["c_proj"](inner)
        return self.lm_head(self.ln_f(hidden))
