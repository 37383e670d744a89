"""Learned relative biases in buckets, unscaled scores and bias-free layers, as T5's decoder has them."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class T5LayerNorm(nn.Module):
    def __init__(self, hidden_size, eps=1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))
        self.eps = eps

    def forward(self, hidden_states):
        variance = hidden_states.pow(2).mean(-1, keepdim=True)
        return self.weight * (hidden_states * torch.rsqrt(variance + self.eps))


class T5SelfAttention(nn.Module):
    def __init__(self, d_model, num_heads, num_buckets=8, max_distance=24):
        super().__init__()
        self.num_heads, self.d_kv = num_heads, d_model // num_heads
        self.num_buckets, self.max_distance = num_buckets, max_distance
        self.q = nn.Linear(d_model, d_model, bias=False)
        self.k = nn.Linear(d_model, d_model, bias=False)
        self.v = nn.Linear(d_model, d_model, bias=False)
        self.o = nn.Linear(d_model, d_model, bias=False)
        self.relative_attention_bias = nn.Embedding(num_buckets, num_heads)
        # Scores are not divided by sqrt(d_kv): the initialisation of q takes care of it.
        nn.init.normal_(self.q.weight, std=(d_model * self.d_kv) ** -0.5)

    def _bucket(self, distance):
        exact = self.num_buckets // 2
        far = torch.log(distance.clamp(min=1).float() / exact) / math.log(self.max_distance / exact)
        far = exact + (far * (self.num_buckets - exact)).long()
        far = far.clamp(max=self.num_buckets - 1)
        return torch.where(distance < exact, distance, far)

    def compute_bias(self, length, device):
        positions = torch.arange(length, device=device)
        distance = (positions[:, None] - positions[None, :]).clamp(min=0)
        values = self.relative_attention_bias(self._bucket(distance))
        return values.permute(2, 0, 1).unsqueeze(0)

    def forward(self, hidden_states):
        b, t, d = hidden_states.shape
        shape = (b, t, self.num_heads, self.d_kv)
        q = self.q(hidden_states).view(shape).transpose(1, 2)
        k = self.k(hidden_states).view(shape).transpose(1, 2)
        v = self.v(hidden_states).view(shape).transpose(1, 2)
        scores = torch.matmul(q, k.transpose(3, 2))
        scores += self.compute_bias(t, hidden_states.device)
        future = torch.ones(t, t, dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(future, float("-inf"))
        attn_weights = F.softmax(scores.float(), dim=-1).type_as(scores)
        attn_output = torch.matmul(attn_weights, v)
        return self.o(attn_output.transpose(1, 2).contiguous().view(b, t, d))


class T5Layer(nn.Module):
    def __init__(self, d_model, d_ff, num_heads):
        super().__init__()
        self.layer_norm_1 = T5LayerNorm(d_model)
        self.SelfAttention = T5SelfAttention(d_model, num_heads)
        self.layer_norm_2 = T5LayerNorm(d_model)
        self.wi = nn.Linear(d_model, d_ff, bias=False)
        self.wo = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, hidden_states):
        hidden_states = hidden_states + self.SelfAttention(self.layer_norm_1(hidden_states))
        return hidden_states + self.wo(F.relu(self.wi(self.layer_norm_2(hidden_states))))


class T5Decoder(nn.Module):
    def __init__(self, vocab_size=50257, d_model=32, d_ff=64, num_layers=2, num_heads=4):
        super().__init__()
        self.shared = nn.Embedding(vocab_size, d_model)
        self.block = nn.ModuleList([T5Layer(d_model, d_ff, num_heads) for _ in range(num_layers)])
        self.final_layer_norm = T5LayerNorm(d_model)
        self.lm_head = nn.Linear(d_model, vocab_size, bias=False)

    def forward(self, input_ids):
        hidden_states = self.shared(input_ids)
        for layer_module in self.block:
            hidden_states = layer_module(hidden_states)
        return self.lm_head(self.final_layer_norm(hidden_states))
