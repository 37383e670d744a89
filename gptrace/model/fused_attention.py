"""Attention in one kernel: PyTorch's scaled_dot_product_attention, called like `attend` in gpt.py."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor


def fused_attention(
    queries: Tensor, keys: Tensor, values: Tensor, dropout: torch.nn.Dropout, *, allowed: Tensor | None = None
) -> Tensor:
    """Queries (B, H, T, D/H), keys and values (B, H, S, D/H) → (B, H, T, D/H).

    B batch, H heads, T tokens, S all tokens so far, D emb_dim. `allowed` (B, 1, T, S) is true where a query
    may see a key; without it, the queries are the last T tokens, and each sees itself and all before it.
    The kernel drops weights itself, so only the rate and the mode of `dropout` are read. The result equals
    that of `attend` within float32 rounding.

    >>> x = torch.ones(1, 4, 3, 12)
    >>> fused_attention(x, x, x, torch.nn.Dropout(0.1).eval()).shape
    torch.Size([1, 4, 3, 12])
    """
    T, S = queries.shape[2], keys.shape[2]
    # The kernel's is_causal aligns the first query with the first key. That is right only for T == S. A
    # single query is the last token, which may attend to every key.
    is_causal = allowed is None and T == S
    if allowed is None and T not in (1, S):
        allowed = torch.ones(T, S, dtype=torch.bool, device=keys.device).tril(S - T)
    return torch.nn.functional.scaled_dot_product_attention(
        queries, keys, values, attn_mask=allowed, dropout_p=dropout.p if dropout.training else 0.0,
        is_causal=is_causal,
    )  # fmt: skip
