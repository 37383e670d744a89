"""A cache of fixed size that is filled at given positions, in the manner of gpt-fast."""

import torch
import torch.nn.functional as F
from torch import nn


class KVCache(nn.Module):
    def __init__(self, batch_size, length, n_heads, head_dim):
        super().__init__()
        shape = (batch_size, n_heads, length, head_dim)
        self.register_buffer("k_cache", torch.zeros(shape), persistent=False)
        self.register_buffer("v_cache", torch.zeros(shape), persistent=False)

    def update(self, input_pos, k_val, v_val):
        self.k_cache[:, :, input_pos] = k_val
        self.v_cache[:, :, input_pos] = v_val
        return self.k_cache, self.v_cache


class Attention(nn.Module):
    def __init__(self, dim, n_head):
        super().__init__()
        self.n_head, self.head_dim = n_head, dim // n_head
        self.wqkv = nn.Linear(dim, 3 * dim, bias=False)
        self.wo = nn.Linear(dim, dim, bias=False)
        self.kv_cache = None

    def forward(self, x, mask, input_pos=None):
        bsz, seqlen, dim = x.shape
        q, k, v = self.wqkv(x).split([dim, dim, dim], dim=-1)
        q, k, v = (y.view(bsz, seqlen, self.n_head, self.head_dim).transpose(1, 2) for y in (q, k, v))
        if self.kv_cache is not None and input_pos is not None:
            k, v = self.kv_cache.update(input_pos, k, v)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.wo(y.transpose(1, 2).contiguous().view(bsz, seqlen, dim))


class TransformerBlock(nn.Module):
    def __init__(self, dim, n_head):
        super().__init__()
        self.attention = Attention(dim, n_head)
        self.attention_norm = nn.RMSNorm(dim, eps=1e-5)
        self.feed_forward = nn.Sequential(nn.Linear(dim, 2 * dim), nn.SiLU(), nn.Linear(2 * dim, dim))
        self.ffn_norm = nn.RMSNorm(dim, eps=1e-5)

    def forward(self, x, mask, input_pos=None):
        h = x + self.attention(self.attention_norm(x), mask, input_pos)
        return h + self.feed_forward(self.ffn_norm(h))


class Transformer(nn.Module):
    def __init__(self, vocab_size=50257, dim=32, n_layer=2, n_head=4, block_size=32):
        super().__init__()
        self.block_size = block_size
        self.tok_embeddings = nn.Embedding(vocab_size, dim)
        self.pos_embeddings = nn.Embedding(block_size, dim)
        self.layers = nn.ModuleList(TransformerBlock(dim, n_head) for _ in range(n_layer))
        self.norm = nn.RMSNorm(dim, eps=1e-5)
        self.output = nn.Linear(dim, vocab_size, bias=False)

    def setup_caches(self, max_batch_size, max_seq_length):
        for block in self.layers:
            attention = block.attention
            attention.kv_cache = KVCache(max_batch_size, max_seq_length, attention.n_head, attention.head_dim)

    def forward(self, idx, input_pos=None):
        keys = self.block_size
        if input_pos is None:
            input_pos, keys = torch.arange(idx.shape[1], device=idx.device), idx.shape[1]
            cached = None
        else:
            cached, keys = input_pos, self.layers[0].attention.kv_cache.k_cache.shape[2]
        mask = input_pos[:, None] >= torch.arange(keys, device=idx.device)[None, :]
        x = self.tok_embeddings(idx) + self.pos_embeddings(input_pos)
        for layer in self.layers:
            x = layer(x, mask, cached)
        return self.output(self.norm(x))
