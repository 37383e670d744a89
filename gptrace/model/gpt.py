"""The GPT on one page, with the names of the course code that its users come from.

Shapes in comments: B batch, T tokens, D emb_dim, H heads, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gptrace.model.cache import KeyValueCache
from gptrace.model.config import GPTConfig
from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor
nn = torch.nn
functional = torch.nn.functional


class LayerNorm(nn.Module):
    """Normalise the last axis to mean 0 and variance 1, then scale and shift it."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.eps = config.norm_eps
        self.scale = nn.Parameter(torch.ones(config.emb_dim))
        self.shift = nn.Parameter(torch.zeros(config.emb_dim)) if config.bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` normalised, same shape."""
        return functional.layer_norm(x, self.scale.shape, self.scale, self.shift, self.eps)


class GELU(nn.Module):
    """GPT-2's activation: the tanh approximation of GELU (arXiv:1606.08415)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return GELU of each element of `x`."""
        return functional.gelu(x, approximate="tanh")


def activation(name: str) -> nn.Module:
    """Return the activation of that name."""
    activations: dict[str, type[nn.Module]] = {"gelu_tanh": GELU, "gelu": nn.GELU, "relu": nn.ReLU}
    return activations[name]()


class FeedForward(nn.Module):
    """Widen each position (to 4·D, unless the configuration says otherwise), bend it, and bring it back."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(config.emb_dim, config.hidden_dim, bias=config.bias),
            activation(config.activation),
            nn.Linear(config.hidden_dim, config.emb_dim, bias=config.bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        result: Tensor = self.layers(x)
        return result


def causal_mask(queries: int, keys: int, device: torch.device) -> Tensor:
    """Return the mask (queries, keys) of the last positions: True where one would look at a later one.

    Made when needed, as long as needed, and then let go: that takes microseconds, and a mask that was kept
    would be a constant for torch.export, a buffer in a state dict, or one more thing that threads share.
    """
    return torch.ones(queries, keys, dtype=torch.bool, device=device).triu(1 + keys - queries)


class MultiHeadAttention(nn.Module):
    """Causal self-attention: each position takes a weighted sum of the positions up to itself.

    With a `cache`, `x` holds the tokens that are new, and S is T and those before it; without one, S is T.
    """

    cache: KeyValueCache | None = None

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        D = config.emb_dim
        self.n_heads = config.n_heads
        self.head_dim = config.head_dim
        self.fused = config.attention == "sdpa"
        self.W_query = nn.Linear(D, D, bias=config.qkv_bias)
        self.W_key = nn.Linear(D, D, bias=config.qkv_bias)
        self.W_value = nn.Linear(D, D, bias=config.qkv_bias)
        self.out_proj = nn.Linear(D, D, bias=config.bias)
        self.dropout = nn.Dropout(config.drop_rate)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # Course code keeps the mask as a buffer, so its state dicts carry it; ours does not need it.
        state_dict.pop(prefix + "mask", None)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        B, T, D = x.shape
        keys = self._split(self.W_key(x))  # (B, H, T, D/H); keys first, as in course code
        queries = self._split(self.W_query(x))
        values = self._split(self.W_value(x))
        if self.cache is not None:
            keys, values = self.cache.extended(keys, values)  # (B, H, S, D/H)
        context = self._fused(queries, keys, values) if self.fused else self._eager(queries, keys, values)
        merged = context.transpose(1, 2).reshape(B, T, D)
        result: Tensor = self.out_proj(merged)
        return result

    def _split(self, x: Tensor) -> Tensor:
        B, T, _ = x.shape
        return x.view(B, T, self.n_heads, self.head_dim).transpose(1, 2)  # (B, H, T, D/H)

    def _eager(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        T, S = queries.shape[2], keys.shape[2]
        scores = queries @ keys.transpose(2, 3) / self.head_dim**0.5  # (B, H, T, S)
        scores = scores.masked_fill(causal_mask(T, S, scores.device), -torch.inf)
        weights = self.dropout(torch.softmax(scores, dim=-1))
        result: Tensor = weights @ values  # (B, H, T, D/H)
        return result

    def _fused(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        T, S = queries.shape[2], keys.shape[2]
        dropped = self.dropout.p if self.training else 0.0
        # The kernel's own causal mask begins at the first key; one query alone may look at every key.
        allowed = None if T in (1, S) else ~causal_mask(T, S, queries.device)
        result: Tensor = functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=allowed, dropout_p=dropped, is_causal=T == S
        )
        return result


class TransformerBlock(nn.Module):
    """Attention, then feed-forward, each on a normalised copy and added back."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        # The order of these lines is the order of the random numbers.
        self.att = MultiHeadAttention(config)
        self.ff = FeedForward(config)
        self.norm1 = LayerNorm(config)
        self.norm2 = LayerNorm(config)
        self.drop_shortcut = nn.Dropout(config.drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        x = x + self.drop_shortcut(self.att(self.norm1(x)))
        x = x + self.drop_shortcut(self.ff(self.norm2(x)))
        return x


class GPTModel(nn.Module):
    """A GPT-2 that takes token ids and returns a score for every token that could come next.

    `past_length` is how many tokens the caches of its attention hold, where it has some.

    >>> model = GPTModel({"emb_dim": 48, "n_heads": 4, "n_layers": 2, "vocab_size": 1000})
    >>> model(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 1000])
    """

    past_length = 0

    def __init__(self, config: GPTConfig | Mapping[str, Any]) -> None:
        super().__init__()
        if not isinstance(config, GPTConfig):
            config = GPTConfig.from_mapping(config)
        self.config = config
        self.tok_emb = nn.Embedding(config.vocab_size, config.emb_dim)
        self.pos_emb = nn.Embedding(config.context_length, config.emb_dim)
        self.drop_emb = nn.Dropout(config.drop_rate)
        self.trf_blocks = nn.Sequential(*(TransformerBlock(config) for _ in range(config.n_layers)))
        self.final_norm = LayerNorm(config)
        self.out_head = nn.Linear(config.emb_dim, config.vocab_size, bias=False)
        if config.tie_head:
            self.out_head.weight = self.tok_emb.weight

    def forward(self, in_idx: Tensor) -> Tensor:
        """Token ids (B, T) → logits (B, T, V)."""
        logits: Tensor = self.out_head(self.hidden_states(in_idx))
        return logits

    def hidden_states(self, in_idx: Tensor) -> Tensor:
        """Token ids (B, T) → what the output head reads (B, T, D)."""
        start = self.past_length
        positions = torch.arange(start, start + in_idx.shape[1], device=in_idx.device)
        x = self.drop_emb(self.tok_emb(in_idx) + self.pos_emb(positions))  # (B, T, D)
        result: Tensor = self.final_norm(self.trf_blocks(x))
        return result
