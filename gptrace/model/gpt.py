"""The GPT on one page, with the names of the course "Build a Large Language Model (From Scratch)".

Shapes in comments: B batch, T tokens, S all tokens so far (T, unless earlier ones are cached), D emb_dim,
H heads, V vocabulary. Caching and the fused kernel live beside this page, in cache.py and fused_attention.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gptrace.model.config import GPTConfig
from gptrace.model.fused_attention import fused_attention
from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor
nn = torch.nn
Attend = Callable[[Tensor, Tensor, Tensor, nn.Dropout], Tensor]
functional = torch.nn.functional


class LayerNorm(nn.Module):
    """Normalise the features of each token to mean 0 and variance 1, then scale and shift them."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.eps = config.norm_eps
        self.scale = nn.Parameter(torch.ones(config.emb_dim))
        self.shift = nn.Parameter(torch.zeros(config.emb_dim)) if config.bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        return functional.layer_norm(x, self.scale.shape, self.scale, self.shift, self.eps)


class GELU(nn.Module):
    """GPT-2's activation: the tanh approximation of GELU (arXiv:1606.08415)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply GELU to each element of `x`; the shape stays."""
        return functional.gelu(x, approximate="tanh")


# GPTConfig.activation → its module.
ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu_tanh": GELU, "gelu": nn.GELU, "relu": nn.ReLU}


class FeedForward(nn.Module):
    """Process each token by itself: widen it (4·D by default), apply a nonlinearity, narrow it again."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(config.emb_dim, config.hidden_dim, bias=config.bias),
            ACTIVATIONS[config.activation](),
            nn.Linear(config.hidden_dim, config.emb_dim, bias=config.bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        result: Tensor = self.layers(x)
        return result


def causal_mask(queries: int, keys: int, device: torch.device) -> Tensor:
    """Return the mask (queries, keys) of the last `queries` of `keys` positions: True hides a later key.

    The mask is built in each call and then freed. That takes microseconds, and a stored mask would be a
    constant in torch.export, a buffer in the state dict, and state that threads share.
    """
    return torch.ones(queries, keys, dtype=torch.bool, device=device).triu(1 + keys - queries)


def attend(queries: Tensor, keys: Tensor, values: Tensor, dropout: nn.Dropout) -> Tensor:
    """Queries (B, H, T, D/H), keys and values (B, H, S, D/H) → (B, H, T, D/H)."""
    T, S, head_dim = queries.shape[2], keys.shape[2], keys.shape[3]
    # Scores: the dot product of a query and a key says how much that token matters to this one. Dividing by
    # √head_dim keeps the scores small, since large ones would leave softmax with almost no gradient.
    scores = queries @ keys.transpose(2, 3) / head_dim**0.5  # (B, H, T, S)
    # Mask: a token must not see later tokens, since they are what it learns to predict.
    scores = scores.masked_fill(causal_mask(T, S, scores.device), -torch.inf)  # (B, H, T, S)
    # Softmax: each row of scores becomes weights that add up to 1; a masked score becomes weight 0.
    weights = torch.softmax(scores, dim=-1)  # (B, H, T, S)
    # Dropout: in training, some weights are zeroed, so that no token relies on a single other token.
    weights = dropout(weights)  # (B, H, T, S)
    # Weighted sum: each token collects the values of the tokens that it attends to.
    context: Tensor = weights @ values  # (B, H, T, D/H)
    return context


class MultiHeadAttention(nn.Module):
    """Causal self-attention: each token collects information from itself and the tokens before it.

    `attend` turns queries, keys and values into the result of each head. It is the function above, or one
    with the same arguments: `fused_attention`, or a cache around either.
    """

    attend: Attend

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        D = config.emb_dim
        self.n_heads = config.n_heads
        self.head_dim = config.head_dim
        self.attend = fused_attention if config.attention == "sdpa" else attend
        self.W_query = nn.Linear(D, D, bias=config.qkv_bias)
        self.W_key = nn.Linear(D, D, bias=config.qkv_bias)
        self.W_value = nn.Linear(D, D, bias=config.qkv_bias)
        self.out_proj = nn.Linear(D, D, bias=config.bias)
        self.dropout = nn.Dropout(config.drop_rate)
        self.register_load_state_dict_pre_hook(_drop_course_mask)  # type: ignore[no-untyped-call]  # torch has not typed it

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        B, T, _ = x.shape
        # Project: a key says what a token offers, a query what it looks for, a value what it passes on.
        # Split into heads: each head attends by itself, on D/H of the features.
        keys = self.split_heads(self.W_key(x))  # (B, H, T, D/H)
        queries = self.split_heads(self.W_query(x))  # (B, H, T, D/H)
        values = self.split_heads(self.W_value(x))  # (B, H, T, D/H)
        context = self.attend(queries, keys, values, self.dropout)  # (B, H, T, D/H)
        # Merge: the results of all heads become one vector for each token again.
        context = context.transpose(1, 2).reshape(B, T, -1)  # (B, T, D)
        # Project: the heads have worked apart so far; this layer combines what they found.
        result: Tensor = self.out_proj(context)  # (B, T, D)
        return result

    def split_heads(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, H, T, D/H). Under tensor parallelism, H are the heads of this process."""
        B, T, _ = x.shape
        return x.view(B, T, -1, self.head_dim).transpose(1, 2)  # (B, H, T, D/H)


def _drop_course_mask(_: nn.Module, state_dict: dict[str, Any], prefix: str, *_others: object) -> None:
    # Course code stores the causal mask as a buffer. `state_dict` is load_state_dict's own copy.
    state_dict.pop(f"{prefix}mask", None)


class TransformerBlock(nn.Module):
    """Attention, then a feed-forward network. Each reads `x` normalised and adds its result to `x`."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        # The order of these lines decides which random numbers each layer draws: the course's order.
        self.att = MultiHeadAttention(config)
        self.ff = FeedForward(config)
        self.norm1 = LayerNorm(config)
        self.norm2 = LayerNorm(config)
        self.drop_shortcut = nn.Dropout(config.drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        x = x + self.drop_shortcut(self.att(self.norm1(x)))  # (B, T, D)
        x = x + self.drop_shortcut(self.ff(self.norm2(x)))  # (B, T, D)
        return x


class GPTModel(nn.Module):
    """A GPT-2: takes token ids, returns for each position a score for every token that could come next.

    `config` is a GPTConfig, or a mapping of its keys. Raises ConfigError for an impossible configuration.

    >>> model = GPTModel({"emb_dim": 48, "n_heads": 4, "n_layers": 2, "vocab_size": 1000})
    >>> model(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 1000])
    """

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
        positions = torch.arange(in_idx.shape[1], device=in_idx.device)  # (T,)
        # Attention alone does not know where a token stands, so a position embedding is added.
        x = self.drop_emb(self.tok_emb(in_idx) + self.pos_emb(positions))  # (B, T, D)
        x = self.final_norm(self.trf_blocks(x))  # (B, T, D)
        logits: Tensor = self.out_head(x)  # (B, T, V)
        return logits
