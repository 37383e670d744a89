"""Everything inside is [T, B, D], and the heads are merged into the batch, as in fairseq."""

import torch
import torch.nn.functional as F
from torch import nn


class MultiheadAttention(nn.Module):
    def __init__(self, embed_dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.scaling = self.head_dim**-0.5
        self.q_proj = nn.Linear(embed_dim, embed_dim)
        self.k_proj = nn.Linear(embed_dim, embed_dim)
        self.v_proj = nn.Linear(embed_dim, embed_dim)
        self.out_proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, query, attn_mask):
        tgt_len, bsz, embed_dim = query.size()
        q = self.q_proj(query) * self.scaling
        k = self.k_proj(query)
        v = self.v_proj(query)
        q = q.contiguous().view(tgt_len, bsz * self.num_heads, self.head_dim).transpose(0, 1)
        k = k.contiguous().view(tgt_len, bsz * self.num_heads, self.head_dim).transpose(0, 1)
        v = v.contiguous().view(tgt_len, bsz * self.num_heads, self.head_dim).transpose(0, 1)
        attn_weights = torch.baddbmm(attn_mask.unsqueeze(0), q, k.transpose(1, 2))
        attn_probs = F.softmax(attn_weights, dim=-1)
        attn = torch.bmm(attn_probs, v)
        attn = attn.transpose(0, 1).contiguous().view(tgt_len, bsz, embed_dim)
        return self.out_proj(attn)


class TransformerDecoderLayer(nn.Module):
    def __init__(self, embed_dim, ffn_embed_dim, num_heads):
        super().__init__()
        self.self_attn = MultiheadAttention(embed_dim, num_heads)
        self.self_attn_layer_norm = nn.LayerNorm(embed_dim)
        self.fc1 = nn.Linear(embed_dim, ffn_embed_dim)
        self.fc2 = nn.Linear(ffn_embed_dim, embed_dim)
        self.final_layer_norm = nn.LayerNorm(embed_dim)

    def forward(self, x, attn_mask):
        residual = x
        x = self.self_attn(self.self_attn_layer_norm(x), attn_mask)
        x = residual + x
        residual = x
        x = self.fc2(F.relu(self.fc1(self.final_layer_norm(x))))
        return residual + x


class FairseqDecoder(nn.Module):
    def __init__(
        self, vocab_size=50257, embed_dim=32, ffn_embed_dim=64, num_heads=4, num_layers=2, max_positions=32
    ):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab_size, embed_dim)
        self.embed_positions = nn.Embedding(max_positions, embed_dim)
        self.layers = nn.ModuleList(
            TransformerDecoderLayer(embed_dim, ffn_embed_dim, num_heads) for _ in range(num_layers)
        )
        self.layer_norm = nn.LayerNorm(embed_dim)
        self.output_projection = nn.Linear(embed_dim, vocab_size, bias=False)

    def buffered_future_mask(self, tensor):
        dim = tensor.size(0)
        return torch.triu(torch.full((dim, dim), float("-inf"), device=tensor.device, dtype=tensor.dtype), 1)

    def forward(self, prev_output_tokens):
        positions = self.embed_positions(
            torch.arange(prev_output_tokens.size(1), device=prev_output_tokens.device)
        )
        x = self.embed_tokens(prev_output_tokens) + positions
        x = x.transpose(0, 1)  # B x T x C -> T x B x C
        mask = self.buffered_future_mask(x)
        for layer in self.layers:
            x = layer(x, mask)
        x = self.layer_norm(x)
        x = x.transpose(0, 1)  # T x B x C -> B x T x C
        return self.output_projection(x)
