"""A causal language model with the interface of Hugging Face: labels, attention_mask, past_key_values."""

import torch
from torch import nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    def __init__(self, hidden_size, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = hidden_size // num_heads
        self.query_key_value = nn.Linear(hidden_size, 3 * hidden_size)
        self.dense = nn.Linear(hidden_size, hidden_size)

    def forward(self, hidden_states, allowed, layer_past=None):
        batch, length, hidden = hidden_states.shape
        qkv = self.query_key_value(hidden_states).view(batch, length, self.num_heads, 3 * self.head_dim)
        query, key, value = qkv.transpose(1, 2).chunk(3, dim=-1)
        if layer_past is not None:
            past_key, past_value = layer_past
            key = torch.cat((past_key, key), dim=-2)
            value = torch.cat((past_value, value), dim=-2)
        present = (key, value)
        scores = torch.matmul(query, key.transpose(-1, -2)) / self.head_dim**0.5
        scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
        probs = F.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
        context = torch.matmul(probs, value).transpose(1, 2).reshape(batch, length, hidden)
        return self.dense(context), present


class DecoderLayer(nn.Module):
    def __init__(self, hidden_size, num_heads):
        super().__init__()
        self.input_layernorm = nn.LayerNorm(hidden_size)
        self.attention = SelfAttention(hidden_size, num_heads)
        self.post_attention_layernorm = nn.LayerNorm(hidden_size)
        self.dense_h_to_4h = nn.Linear(hidden_size, 4 * hidden_size)
        self.dense_4h_to_h = nn.Linear(4 * hidden_size, hidden_size)

    def forward(self, hidden_states, allowed, layer_past=None):
        attended, present = self.attention(self.input_layernorm(hidden_states), allowed, layer_past)
        hidden_states = hidden_states + attended
        inner = F.gelu(self.dense_h_to_4h(self.post_attention_layernorm(hidden_states)))
        return hidden_states + self.dense_4h_to_h(inner), present


class ForCausalLM(nn.Module):
    def __init__(
        self, vocab_size=50257, hidden_size=32, num_heads=4, num_layers=2, max_position_embeddings=32
    ):
        super().__init__()
        self.word_embeddings = nn.Embedding(vocab_size, hidden_size)
        self.position_embeddings = nn.Embedding(max_position_embeddings, hidden_size)
        self.layers = nn.ModuleList([DecoderLayer(hidden_size, num_heads) for _ in range(num_layers)])
        self.final_layernorm = nn.LayerNorm(hidden_size)
        self.lm_head = nn.Linear(hidden_size, vocab_size, bias=False)

    def forward(self, input_ids, attention_mask=None, past_key_values=None, labels=None, use_cache=False):
        batch, length = input_ids.shape
        past_length = past_key_values[0][0].shape[-2] if past_key_values is not None else 0
        total = past_length + length
        if attention_mask is None:
            attention_mask = torch.ones(batch, total, dtype=torch.long, device=input_ids.device)

        # Positions count the real tokens, so that padding on the left moves nothing.
        position_ids = (attention_mask.cumsum(-1) - 1).clamp(min=0)[:, past_length:]
        hidden_states = self.word_embeddings(input_ids) + self.position_embeddings(position_ids)

        steps = torch.arange(total, device=input_ids.device)
        causal = steps[None, :] <= steps[past_length:, None]
        allowed = causal[None, None] & attention_mask[:, None, None, :].bool()

        presents = []
        for i, layer in enumerate(self.layers):
            layer_past = past_key_values[i] if past_key_values is not None else None
            hidden_states, present = layer(hidden_states, allowed, layer_past)
            presents.append(present)

        logits = self.lm_head(self.final_layernorm(hidden_states))
        loss = None
        if labels is not None:
            shift_logits = logits[..., :-1, :].contiguous()
            shift_labels = labels[..., 1:].contiguous()
            loss = F.cross_entropy(
                shift_logits.view(-1, shift_logits.size(-1)), shift_labels.view(-1), ignore_index=-100
            )
        output = {"logits": logits}
        if loss is not None:
            output["loss"] = loss
        if use_cache:
            output["past_key_values"] = tuple(presents)
        return output
