"""Positions start at 2, in a table of two rows more, and padding on the left is masked (OPT)."""

import torch
from torch import nn


class LearnedPositionalEmbedding(nn.Embedding):
    def __init__(self, num_embeddings, embedding_dim):
        # The first two rows are never used; the trained weights have them.
        self.offset = 2
        super().__init__(num_embeddings + self.offset, embedding_dim)

    def forward(self, attention_mask):
        attention_mask = attention_mask.long()
        positions = (torch.cumsum(attention_mask, dim=1) * attention_mask).long() - 1
        return super().forward(positions + self.offset)


class OPTAttention(nn.Module):
    def __init__(self, embed_dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.scaling = self.head_dim**-0.5
        self.k_proj = nn.Linear(embed_dim, embed_dim)
        self.v_proj = nn.Linear(embed_dim, embed_dim)
        self.q_proj = nn.Linear(embed_dim, embed_dim)
        self.out_proj = nn.Linear(embed_dim, embed_dim)

    def _shape(self, tensor):
        return tensor.view(tensor.size(0), -1, self.num_heads, self.head_dim).transpose(1, 2).contiguous()

    def forward(self, hidden_states, attention_bias):
        bsz, tgt_len, embed_dim = hidden_states.size()
        query_states = self._shape(self.q_proj(hidden_states) * self.scaling)
        key_states = self._shape(self.k_proj(hidden_states))
        value_states = self._shape(self.v_proj(hidden_states))
        attn_weights = torch.matmul(query_states, key_states.transpose(2, 3)) + attention_bias
        attn_weights = torch.max(attn_weights, torch.tensor(torch.finfo(attn_weights.dtype).min))
        attn_probs = nn.functional.softmax(attn_weights, dim=-1)
        attn_output = torch.matmul(attn_probs, value_states)
        attn_output = attn_output.transpose(1, 2).reshape(bsz, tgt_len, embed_dim)
        return self.out_proj(attn_output)


class OPTDecoderLayer(nn.Module):
    def __init__(self, embed_dim, num_heads, ffn_dim):
        super().__init__()
        self.self_attn = OPTAttention(embed_dim, num_heads)
        self.self_attn_layer_norm = nn.LayerNorm(embed_dim)
        self.fc1 = nn.Linear(embed_dim, ffn_dim)
        self.fc2 = nn.Linear(ffn_dim, embed_dim)
        self.final_layer_norm = nn.LayerNorm(embed_dim)

    def forward(self, hidden_states, attention_bias):
        hidden_states = hidden_states + self.self_attn(
            self.self_attn_layer_norm(hidden_states), attention_bias
        )
        shape = hidden_states.shape
        flat = self.final_layer_norm(hidden_states).reshape(-1, shape[-1])
        flat = self.fc2(torch.relu(self.fc1(flat)))
        return hidden_states + flat.view(shape)


class OPT(nn.Module):
    def __init__(
        self,
        vocab_size=50257,
        hidden_size=32,
        num_heads=4,
        num_layers=2,
        ffn_dim=64,
        max_position_embeddings=32,
    ):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab_size, hidden_size)
        self.embed_positions = LearnedPositionalEmbedding(max_position_embeddings, hidden_size)
        self.layers = nn.ModuleList(
            OPTDecoderLayer(hidden_size, num_heads, ffn_dim) for _ in range(num_layers)
        )
        self.final_layer_norm = nn.LayerNorm(hidden_size)
        self.lm_head = nn.Linear(hidden_size, vocab_size, bias=False)

    def forward(self, input_ids, attention_mask=None):
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        length = input_ids.shape[1]
        causal = torch.full((length, length), torch.finfo(torch.float32).min, device=input_ids.device).triu(1)
        padding = (1.0 - attention_mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
        attention_bias = causal + padding
        x = self.embed_tokens(input_ids) + self.embed_positions(attention_mask)
        for layer in self.layers:
            x = layer(x, attention_bias)
        return {"logits": self.lm_head(self.final_layer_norm(x))}
