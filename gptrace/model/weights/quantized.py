"""Weights that are stored as int8 with a scale for each row → the numbers that they stand for."""

from __future__ import annotations

from gptrace.errors import WeightsError
from gptrace.model.quiet_torch import torch

Tensors = dict[str, torch.Tensor]
# `W.weight` int8 (R, …) has its scales in `W.weight_scale` (R,), as the files of other libraries have them.
SCALE = "_scale"


def restored(tensors: Tensors) -> Tensors:
    """Return the tensors with each int8 matrix multiplied by its scales, which are left out.

    Raises WeightsError for scales that do not fit their matrix.

    >>> restored({"a": torch.tensor([[100], [-50]], dtype=torch.int8), "a_scale": torch.tensor([0.5, 2.0])})
    {'a': tensor([[  50.],
            [-100.]])}
    """
    scales = {
        name: scale
        for name, scale in tensors.items()
        if (matrix := tensors.get(name.removesuffix(SCALE))) is not None and matrix.dtype == torch.int8
        if name.endswith(SCALE)
    }
    plain = {name: tensor for name, tensor in tensors.items() if name not in scales}
    for name, scale in scales.items():
        matrix = plain[name.removesuffix(SCALE)]
        if not scale.is_floating_point() or scale.shape != matrix.shape[:1]:
            problem = f"{name} has the shape {list(scale.shape)}, expected {list(matrix.shape[:1])}"
            raise WeightsError(problem, "a scale is a floating-point number for each row")
        plain[name.removesuffix(SCALE)] = matrix * scale.view(-1, *[1] * (matrix.dim() - 1))
    return plain
