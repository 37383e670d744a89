"""Models as users write them, with configurations as they write them: dicts, dataclasses, keywords."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gptrace.model.quiet_torch import torch

nn = torch.nn
F = nn.functional


class CourseAttention(nn.Module):
    mask: torch.Tensor

    def __init__(self, d_in: int, d_out: int, context_length: int, num_heads: int) -> None:
        super().__init__()
        assert d_out % num_heads == 0
        self.num_heads, self.head_dim = num_heads, d_out // num_heads
        self.W_query, self.W_key, self.W_value = (nn.Linear(d_in, d_out) for _ in range(3))
        self.out_proj = nn.Linear(d_out, d_out)
        self.register_buffer("mask", torch.triu(torch.ones(context_length, context_length), diagonal=1))

    def forward(self, x: Any) -> Any:
        B, T, _ = x.shape
        q, k, v = (
            layer(x).view(B, T, self.num_heads, self.head_dim).transpose(1, 2)
            for layer in (self.W_query, self.W_key, self.W_value)
        )
        scores = q @ k.transpose(2, 3) / self.head_dim**0.5
        scores.masked_fill_(self.mask.bool()[:T, :T], -torch.inf)
        context = (scores.softmax(-1) @ v).transpose(1, 2)
        return self.out_proj(context.contiguous().view(B, T, -1))


class CourseGPT(nn.Module):
    """As in a course: one dict, the same names, and a mask of all positions."""

    def __init__(self, cfg: dict[str, Any]) -> None:
        super().__init__()
        D = cfg["emb_dim"]
        self.tok_emb = nn.Embedding(cfg["vocab_size"], D)
        self.pos_emb = nn.Embedding(cfg["context_length"], D)
        self.att = CourseAttention(D, D, cfg["context_length"], cfg["n_heads"])
        self.norm = nn.LayerNorm(D)
        self.ff = nn.Sequential(nn.Linear(D, 4 * D), nn.GELU(), nn.Linear(4 * D, D))
        self.out_head = nn.Linear(D, cfg["vocab_size"], bias=False)

    def forward(self, in_idx: Any) -> Any:
        x = self.tok_emb(in_idx) + self.pos_emb(torch.arange(in_idx.shape[1]))
        x = x + self.att(self.norm(x))
        return self.out_head(x + self.ff(x))


@dataclass
class NanoConfig:
    block_size: int = 16
    vocab_size: int = 64
    n_head: int = 2
    n_embd: int = 8


class NanoGPT(nn.Module):
    """Queries, keys and values from one layer; logits of the last position alone, as for generation."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.config = config
        D = config.n_embd
        self.wte, self.wpe = nn.Embedding(config.vocab_size, D), nn.Embedding(config.block_size, D)
        self.c_attn, self.c_proj = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.lm_head = nn.Linear(D, config.vocab_size, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, idx: Any) -> Any:
        B, T = idx.shape
        x = self.wte(idx) + self.wpe(torch.arange(T))
        D, H = x.shape[2], self.config.n_head
        q, k, v = (y.view(B, T, H, D // H).transpose(1, 2) for y in self.c_attn(x).split(D, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).reshape(B, T, D))
        return self.lm_head(x[:, [-1], :])


class KeywordModel(nn.Module):
    """Plain keyword arguments, PyTorch's own encoder layer, and a token in front of the text."""

    def __init__(self, vocab_size: int, d_model: int, nhead: int, dim_feedforward: int, max_len: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(vocab_size, d_model)
        self.pos = nn.Parameter(torch.zeros(max_len + 1, d_model))
        self.first = nn.Parameter(torch.zeros(1, 1, d_model))
        self.layer = nn.TransformerEncoderLayer(d_model, nhead, dim_feedforward, batch_first=True)
        self.down = nn.Linear(d_model, d_model // 2 + 1)
        self.head = nn.Linear(d_model // 2 + 1, vocab_size)

    def forward(self, ids: Any) -> Any:
        x = torch.cat([self.first.expand(ids.shape[0], -1, -1), self.emb(ids)], 1)
        x = x + self.pos[: x.shape[1]]
        return self.head(self.down(self.layer(x))[:, 1:])


class RMSNorm(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, x: Any) -> Any:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.scale


def rotate(x: Any) -> Any:
    half = x.shape[-1] // 2
    assert half * 2 == x.shape[-1]
    angles = torch.outer(torch.arange(x.shape[2]), torch.arange(half) / half)
    cos, sin = (torch.cat([f(angles)] * 2, -1) for f in (torch.cos, torch.sin))
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


class GroupedAttention(nn.Module):
    def __init__(self, cfg: dict[str, Any]) -> None:
        super().__init__()
        self.heads, self.groups, self.head_dim = cfg["n_heads"], cfg["n_kv_groups"], cfg["head_dim"]
        D, H, K, E = cfg["emb_dim"], self.heads, self.groups, self.head_dim
        assert H % K == 0
        self.fused = cfg["fused"]
        self.qkv = nn.Linear(D, (H + 2 * K) * E) if self.fused else nn.Identity()
        self.q, self.k, self.v = nn.Linear(D, H * E), nn.Linear(D, K * E), nn.Linear(D, K * E)
        self.q_norm, self.k_norm = RMSNorm(E), RMSNorm(E)
        self.out = nn.Linear(H * E, D)

    def forward(self, x: Any) -> Any:
        B, T, _ = x.shape
        H, K, E = self.heads, self.groups, self.head_dim
        parts = (
            self.qkv(x).split([H * E, K * E, K * E], -1) if self.fused else [self.q(x), self.k(x), self.v(x)]
        )
        q, k, v = (y.view(B, T, -1, E).transpose(1, 2) for y in parts)
        q, k = rotate(self.q_norm(q)), rotate(self.k_norm(k))
        k, v = k.repeat_interleave(H // K, 1), v.repeat_interleave(H // K, 1)
        weights = (q @ k.transpose(2, 3)).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(B, T, H * E))


class Llama(nn.Module):
    """Grouped heads with a head_dim of its own, or with one that the width gives (`own` is false)."""

    def __init__(self, cfg: dict[str, Any]) -> None:
        super().__init__()
        if not cfg["own"]:
            cfg = cfg | {"head_dim": cfg["emb_dim"] // cfg["n_heads"]}
        D, F_ = cfg["emb_dim"], cfg["hidden_dim"]
        self.tok_emb = nn.Embedding(cfg["vocab_size"], D)
        self.att, self.norm = GroupedAttention(cfg), RMSNorm(D)
        self.fc1, self.fc2, self.fc3 = nn.Linear(D, F_), nn.Linear(D, F_), nn.Linear(F_, D)
        self.out_head = nn.Linear(D, cfg["vocab_size"], bias=False)

    def forward(self, in_idx: Any) -> Any:
        x = self.tok_emb(in_idx)
        x = x + self.att(self.norm(x))
        return self.out_head(x + self.fc3(F.silu(self.fc1(x)) * self.fc2(x)))


class Mixture(nn.Module):
    """Each token goes to one expert; only the experts that get tokens are called."""

    def __init__(self, vocab_size: int, dim: int, moe_dim: int, rank: int, experts: int = 3) -> None:
        super().__init__()
        self.emb, self.router = nn.Embedding(vocab_size, dim), nn.Linear(dim, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, moe_dim), nn.SiLU(), nn.Linear(moe_dim, dim)) for _ in range(experts)
        )
        self.down, self.up = nn.Linear(dim, rank), nn.Linear(rank, dim)
        self.head = nn.Linear(dim, vocab_size)

    def forward(self, ids: Any) -> Any:
        x = self.emb(ids)
        flat = x.view(-1, x.shape[-1])
        chosen = self.router(flat).argmax(-1)
        y = torch.zeros_like(flat)
        for number, expert in enumerate(self.experts):
            rows = (chosen == number).nonzero().flatten()
            if len(rows):
                y[rows] = expert(flat[rows])
        return self.head(self.up(self.down(x + y.view_as(x))))


class Layer(nn.Module):
    def __init__(self, width: int, attention: Any, mlp: dict[str, Any]) -> None:
        super().__init__()
        self.shape = attention.n_heads, attention.each
        self.query = nn.Linear(width, attention.n_heads * attention.each)
        self.back = nn.Linear(attention.n_heads * attention.each, width)
        self.up = nn.Linear(width, mlp["ratio"] * width)
        self.down = nn.Linear(mlp["ratio"] * width, mlp["rank"])
        self.out = nn.Linear(mlp["rank"], width)

    def forward(self, x: Any) -> Any:
        query = self.query(x).view(*x.shape[:2], *self.shape).transpose(1, 2)
        x = x + self.back(query.transpose(1, 2).flatten(2))
        return x + self.out(self.down(self.up(x)))


@dataclass
class AttentionSettings:
    n_heads: int = 2
    each: int = 4


class NestedGPT(nn.Module):
    """Sizes inside of a configuration: in dicts, an object, and a list with an item for each layer."""

    def __init__(self, cfg: dict[str, Any]) -> None:
        super().__init__()
        model = cfg["model"]
        width = model["emb_dim"]
        self.tok_emb = nn.Embedding(model["vocab_size"], width)
        self.pos_emb = nn.Embedding(cfg["data"]["context_length"], width)
        self.layers = nn.ModuleList(Layer(width, cfg["attention"], mlp) for mlp in cfg["layers"])
        self.out_head = nn.Linear(width, model["vocab_size"], bias=False)

    def forward(self, in_idx: Any) -> Any:
        x = self.tok_emb(in_idx) + self.pos_emb(torch.arange(in_idx.shape[1]))
        for layer in self.layers:
            x = layer(x)
        return self.out_head(x)
