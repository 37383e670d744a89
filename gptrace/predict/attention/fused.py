"""Fused attention: one function that takes queries, keys and values, and returns what the heads gather.

Its weights are nowhere to be seen, so they are computed again from what it took.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gptrace.model.quiet_torch import torch
from gptrace.predict.attention.place import AttentionPlace
from gptrace.predict.candidates import as_float64, rounding_tolerance

Tensor = torch.Tensor
functional = torch.nn.functional
_NAMES = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")

_MODULE_NAMES = (
    "query", "key", "value", "embed_dim_to_check", "num_heads", "in_proj_weight", "in_proj_bias", "bias_k",
    "bias_v", "add_zero_attn", "dropout_p", "out_proj_weight", "out_proj_bias",
)  # fmt: skip


def of_fused(path: str, args: Sequence[Any], kwargs: Mapping[str, Any], result: Tensor) -> AttentionPlace:
    """Return what a call of scaled_dot_product_attention with a batch of 1 took and made."""
    given = dict(zip(_NAMES, args, strict=False)) | dict(kwargs)
    queries, keys, values = (_heads(given[name]) for name in _NAMES[:3])
    repeats = len(queries) // len(keys)
    keys, values = (heads.repeat_interleave(repeats, dim=0) for heads in (keys, values))
    scale = given.get("scale")
    scale = queries.shape[-1] ** -0.5 if scale is None else float(scale)
    scores = as_float64(queries) @ as_float64(keys).mT * scale
    mask = given.get("attn_mask")
    if given.get("is_causal"):
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is not None:
        scores = _masked(scores, mask.to(scores.device))
    weights = scores.softmax(dim=-1).nan_to_num()
    output = _heads(result)
    return AttentionPlace(
        path, queries, keys, values, scores, weights, weights, output, is_fused=True,
        difference=_largest_difference(weights @ as_float64(values), output),
    )  # fmt: skip


def of_torch_module(
    path: str, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], result: Tensor
) -> AttentionPlace | None:
    """Return what a call of multi_head_attention_forward took and made, as torch.nn.MultiheadAttention does.

    None where it adds keys of its own.
    """
    given = dict(zip(_MODULE_NAMES, args, strict=False)) | dict(kwargs)
    if given["bias_k"] is not None or given["add_zero_attn"] or len(args) > len(_MODULE_NAMES):
        return None
    inputs = [given[name] for name in _MODULE_NAMES[:3]]
    weights = given["in_proj_weight"]
    parts = [given[f"{letter}_proj_weight"] for letter in "qkv"] if weights is None else weights.chunk(3)
    bias = given["in_proj_bias"]
    biases = [None] * 3 if bias is None else bias.chunk(3)
    count = given["num_heads"]
    queries, keys, values = (
        functional.linear(x[:, 0], part, bias).view(len(x), count, -1).transpose(0, 1)
        for x, part, bias in zip(inputs, parts, biases, strict=True)
    )
    found = func(*args, **{**kwargs, "need_weights": True, "average_attn_weights": False})[1][0]
    mixed = found @ values
    joined = mixed.transpose(0, 1).flatten(1)
    again = functional.linear(joined, given["out_proj_weight"], given["out_proj_bias"])
    allowed = rounding_tolerance(result.dtype) * max(1e-9, float(result.abs().max()))
    difference = _largest_difference(again, result[:, 0])
    is_same = difference <= allowed
    scores = _masked(queries @ keys.mT * queries.shape[-1] ** -0.5, found != 0)
    return AttentionPlace(
        path, queries, keys, values, scores, found, found, mixed if is_same else None, is_fused=True,
        joined=joined if is_same else None, projected=result if is_same else None, difference=difference,
    )  # fmt: skip


def _largest_difference(again: Tensor, output: Tensor) -> float:
    return float((as_float64(again) - as_float64(output)).abs().max())


def _heads(tensor: Tensor) -> Tensor:
    """Merge all axes before the last two: (…, T, d) → (H, T, d)."""
    return tensor.reshape(-1, *tensor.shape[-2:])


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    """Apply a mask (…, T, T) to scores (H, T, T): True keeps, a number is added."""
    if mask.dim() > 2:
        mask = mask.reshape(-1, *mask.shape[-2:])
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, -torch.inf)
    return scores + mask
