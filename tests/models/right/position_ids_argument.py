"""Positions come from the caller where there is padding on the left; rows without any key become zeros."""

import torch
from torch import nn


class MaskedAttention(nn.Module):
    def __init__(self, hidden_size, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = hidden_size // num_heads
        self.q_proj = nn.Linear(hidden_size, hidden_size)
        self.k_proj = nn.Linear(hidden_size, hidden_size)
        self.v_proj = nn.Linear(hidden_size, hidden_size)
        self.o_proj = nn.Linear(hidden_size, hidden_size)

    def forward(self, x, visible):
        shape = (*x.shape[:2], self.num_heads, self.head_dim)
        q, k, v = (proj(x).view(shape).transpose(1, 2) for proj in (self.q_proj, self.k_proj, self.v_proj))
        scores = q @ k.mT * self.head_dim**-0.5
        scores = scores.masked_fill(~visible, -torch.inf)
        # A token of the padding sees no key at all: softmax makes NaN of its row, which nobody reads.
        weights = torch.nan_to_num(scores.softmax(dim=-1), nan=0.0)
        return self.o_proj((weights @ v).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self, hidden_size, num_heads):
        super().__init__()
        self.input_layernorm = nn.LayerNorm(hidden_size)
        self.attention = MaskedAttention(hidden_size, num_heads)
        self.post_attention_layernorm = nn.LayerNorm(hidden_size)
        self.up = nn.Linear(hidden_size, 4 * hidden_size)
        self.down = nn.Linear(4 * hidden_size, hidden_size)

    def forward(self, x, visible):
        x = x + self.attention(self.input_layernorm(x), visible)
        return x + self.down(nn.functional.gelu(self.up(self.post_attention_layernorm(x))))


class CausalLM(nn.Module):
    def __init__(self, vocab_size=50257, hidden_size=32, num_heads=4, num_layers=2, n_positions=32):
        super().__init__()
        self.wte = nn.Embedding(vocab_size, hidden_size)
        self.wpe = nn.Embedding(n_positions, hidden_size)
        self.layers = nn.ModuleList([Layer(hidden_size, num_heads) for _ in range(num_layers)])
        self.norm = nn.LayerNorm(hidden_size)
        self.lm_head = nn.Linear(hidden_size, vocab_size, bias=False)

    def forward(self, input_ids, attention_mask=None, position_ids=None):
        batch, length = input_ids.shape
        if position_ids is None:
            position_ids = torch.arange(length, device=input_ids.device).expand(batch, -1)
        visible = torch.ones(length, length, dtype=torch.bool, device=input_ids.device).tril()[None, None]
        if attention_mask is not None:
            visible = visible & attention_mask.bool()[:, None, None, :]
        x = self.wte(input_ids) + self.wpe(position_ids)
        for layer in self.layers:
            x = layer(x, visible)
        return {"logits": self.lm_head(self.norm(x))}
