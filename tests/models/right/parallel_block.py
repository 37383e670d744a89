"""Attention and feed-forward side by side, and rotary positions on a part of each head (GPT-J)."""

import torch
from torch import nn


def rotate_every_two(x):
    x1 = x[..., ::2]
    x2 = x[..., 1::2]
    return torch.stack((-x2, x1), dim=-1).flatten(-2)


def sinusoids(length, dim):
    inv_freq = 1.0 / (10000 ** (torch.arange(0, dim, 2) / dim))
    angles = torch.einsum("i,j->ij", torch.arange(length, dtype=torch.float), inv_freq)
    return angles.sin().repeat_interleave(2, -1), angles.cos().repeat_interleave(2, -1)


class GPTJAttention(nn.Module):
    def __init__(self, n_embd, n_head, rotary_dim, n_positions):
        super().__init__()
        self.num_attention_heads = n_head
        self.head_dim = n_embd // n_head
        self.rotary_dim = rotary_dim
        self.scale_attn = self.head_dim**0.5
        self.k_proj = nn.Linear(n_embd, n_embd, bias=False)
        self.v_proj = nn.Linear(n_embd, n_embd, bias=False)
        self.q_proj = nn.Linear(n_embd, n_embd, bias=False)
        self.out_proj = nn.Linear(n_embd, n_embd, bias=False)
        sin, cos = sinusoids(n_positions, rotary_dim)
        self.register_buffer("sin", sin[None, None], persistent=False)
        self.register_buffer("cos", cos[None, None], persistent=False)
        causal = torch.tril(torch.ones((n_positions, n_positions), dtype=torch.bool))
        self.register_buffer("bias", causal[None, None], persistent=False)

    def _split_heads(self, tensor):
        new_shape = tensor.size()[:-1] + (self.num_attention_heads, self.head_dim)
        return tensor.view(new_shape).permute(0, 2, 1, 3)

    def _rotate(self, tensor):
        length = tensor.size(2)
        sin, cos = self.sin[:, :, :length], self.cos[:, :, :length]
        rot, rest = tensor[..., : self.rotary_dim], tensor[..., self.rotary_dim :]
        rot = rot * cos + rotate_every_two(rot) * sin
        return torch.cat([rot, rest], dim=-1)

    def forward(self, hidden_states):
        query = self._rotate(self._split_heads(self.q_proj(hidden_states)))
        key = self._rotate(self._split_heads(self.k_proj(hidden_states)))
        value = self._split_heads(self.v_proj(hidden_states))
        length = query.size(-2)
        causal_mask = self.bias[:, :, :length, :length]
        attn_weights = torch.matmul(query, key.transpose(-1, -2))
        mask_value = torch.tensor(torch.finfo(attn_weights.dtype).min, dtype=attn_weights.dtype)
        attn_weights = torch.where(causal_mask, attn_weights, mask_value.to(attn_weights.device))
        attn_weights = attn_weights / self.scale_attn
        attn_weights = nn.functional.softmax(attn_weights, dim=-1)
        attn_output = torch.matmul(attn_weights, value)
        attn_output = attn_output.permute(0, 2, 1, 3).contiguous()
        return self.out_proj(attn_output.view(hidden_states.shape))


class GPTJBlock(nn.Module):
    def __init__(self, n_embd, n_head, rotary_dim, n_positions):
        super().__init__()
        self.ln_1 = nn.LayerNorm(n_embd)
        self.attn = GPTJAttention(n_embd, n_head, rotary_dim, n_positions)
        self.mlp = nn.Sequential(nn.Linear(n_embd, 4 * n_embd), nn.GELU(), nn.Linear(4 * n_embd, n_embd))

    def forward(self, hidden_states):
        residual = hidden_states
        hidden_states = self.ln_1(hidden_states)
        return self.attn(hidden_states) + self.mlp(hidden_states) + residual


class GPTJ(nn.Module):
    def __init__(self, vocab_size=50257, n_positions=32, n_embd=32, n_head=4, n_layer=2, rotary_dim=4):
        super().__init__()
        self.wte = nn.Embedding(vocab_size, n_embd)
        self.h = nn.ModuleList([GPTJBlock(n_embd, n_head, rotary_dim, n_positions) for _ in range(n_layer)])
        self.ln_f = nn.LayerNorm(n_embd)
        self.lm_head = nn.Linear(n_embd, vocab_size)

    def forward(self, input_ids):
        hidden_states = self.wte(input_ids)
        for block in self.h:
            hidden_states = block(hidden_states)
        return self.lm_head(self.ln_f(hidden_states))
