"""Weights → int8 with a scale for each row, a quarter of their size in float32."""

from __future__ import annotations

import torch

from gptrace.model.weights.quantized import SCALE

Tensors = dict[str, torch.Tensor]


def quantized(tensors: Tensors) -> Tensors:
    """Return each matrix (R, D) as int8 (R, D) and its scales (R,); vectors stay, in float32.

    The largest number of a row becomes 127 or -127. `gptrace.model.weights.quantized` turns them back.

    >>> small = quantized({"a": torch.tensor([[1.0, -0.5], [0.0, 0.0]])})
    >>> small["a"].tolist(), [round(scale, 4) for scale in small["a_scale"].tolist()]
    ([[127, -64], [0, 0]], [0.0079, 0.0])
    """
    result: Tensors = {}
    for name, tensor in tensors.items():
        numbers = tensor.float()
        if numbers.dim() < 2:
            result[name] = numbers
            continue
        scale = numbers.abs().amax(dim=1) / 127  # (R,)
        rows = numbers / torch.where(scale > 0, scale, 1.0)[:, None]  # (R, D)
        result[name], result[name + SCALE] = rows.round().to(torch.int8), scale
    return result
