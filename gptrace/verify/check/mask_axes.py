"""Whether a mask tells later keys from the others, along the axes of queries and keys of the scores."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.attention import Lanes
from gptrace.verify.check.recorded_run import RecordedOperation

Tensor = torch.Tensor


def axes_from_the_end(applied: RecordedOperation, lanes: Lanes) -> tuple[int, int]:
    """Return the axes of queries and of keys of the scores that a mask is applied to, counted from the end.

    A mask is broadcast to the scores, so these are its axes, too.
    """
    if applied.number not in lanes:
        return -2, -1
    queries, keys = lanes[applied.number]
    dims = applied.outputs[0].tensor.dim()
    return queries - dims, keys - dims


def is_turned(lanes: tuple[int, int] | None) -> bool:
    """Tell whether the rows of scores are keys, and the columns queries."""
    return lanes is not None and lanes[0] > lanes[1]


def separates(mask: Tensor, axes: tuple[int, int]) -> bool:
    """Tell whether a mask has other values for later keys than for the rest.

    `axes` are those of queries and keys, counted from the end. A value that the mask is made of may lack
    axes of size 1 in between, or have them elsewhere; its last two others are in the same order.
    """
    if mask.dim() < -min(axes) or 1 in (mask.shape[axes[0]], mask.shape[axes[1]]):
        mask = mask.squeeze()
        axes = (-1, -2) if is_turned(axes) else (-2, -1)
    if mask.dim() < 2 or mask.shape[axes[0]] != mask.shape[axes[1]]:
        return False
    mask = mask.movedim(axes, (-2, -1))
    matrix = mask.reshape(-1, *mask.shape[-2:])[0]
    later = torch.ones(matrix.shape, dtype=torch.bool).triu(1)
    hidden, shown = matrix[later], matrix[~later]
    return not bool(torch.isin(hidden.double(), shown.double()).any())


def is_uniform(mask: Tensor) -> bool:
    """Tell whether all elements are the same."""
    return bool((mask == mask.flatten()[:1]).all()) if mask.numel() else True
