"""One place where a model attends, head by head, whatever the functions that it calls."""

from __future__ import annotations

from dataclasses import dataclass

from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor


@dataclass(eq=False, slots=True)
class AttentionPlace:
    """What one call of attention took and made. Shapes: H heads, T tokens, d head_dim, v that of values.

    `path` is that of the module it is in, and `call` the number of the call of that module. `queries` and
    `keys` are (H, T, d), `values` (H, T, v); `scale` is what they were multiplied by before. `scores`
    (H, T, T) went into softmax and `softmax` came out, over the keys, unless `is_over_queries`; `weights`
    multiply the values, which gives `output` (H, T, v). Of fused attention scores and weights are recomputed,
    and `output` is what its kernel returned; it is None where that cannot be told apart from what follows.
    `difference` is how far the output that these weights make is from the kernel's.

    `steps` are the names of the operations on the scores before softmax. `joined` is the tensor that
    the next layer takes, where that holds the output of the heads, and `projected` what it returns.
    """

    path: str
    queries: Tensor
    keys: Tensor
    values: Tensor
    scores: Tensor
    softmax: Tensor
    weights: Tensor
    output: Tensor | None
    scale: float = 1.0
    is_fused: bool = False
    is_over_queries: bool = False
    steps: frozenset[str] = frozenset()
    joined: Tensor | None = None
    call: int = 1
    difference: float | None = None
    projected: Tensor | None = None
