"""Mean, spread and extremes of a tensor, taken at the moment it is seen."""

from __future__ import annotations

import math
from typing import TypeGuard

from gptrace.model.quiet_torch import torch
from gptrace.record import Statistics

Tensor = torch.Tensor


def statistics_of(tensor: Tensor) -> Statistics | None:
    """Return the statistics of a floating tensor; None for others, and where there are no numbers.

    NaN and infinities are counted, and left out of the rest. The standard deviation is that of all
    numbers (no correction for a sample).

    >>> statistics_of(torch.tensor([1.0, 3.0, float("nan")]))
    Statistics(mean=2.0, std=1.0, min=1.0, max=3.0, nan=1, infinite=0)
    """
    try:
        return _of_floats(tensor)
    except (RuntimeError, TypeError, ValueError):
        return None  # of a kind that cannot be looked into: fake, batched by vmap, of eight bits


def has_numbers(value: object) -> TypeGuard[Tensor]:
    """Tell whether something is a tensor whose numbers can be looked at: not fake, wrapped or sparse."""
    is_plain = isinstance(value, Tensor) and type(value) in _PLAIN
    return is_plain and value.layout is torch.strided and not value.is_meta  # type: ignore[attr-defined]


_PLAIN = (Tensor, torch.nn.Parameter)


def _of_floats(tensor: Tensor) -> Statistics | None:
    if not has_numbers(tensor) or not tensor.is_floating_point():
        return None
    values = tensor.detach() if tensor.requires_grad else tensor
    if not values.numel():
        return None
    if values.dtype in (torch.float16, torch.bfloat16):
        values = values.float()
    # Each kernel counts: right after the model's own it runs cold, at ten times its usual time.
    low, high = torch.aminmax(values)
    least, most = low.item(), high.item()
    largest = max(-least, most)
    if _SMALLEST < largest < _LARGEST or least == most == 0:
        mean, std = _mean_and_spread(values)
        return Statistics(mean, std, least, most, 0, 0)
    nan, infinite = int(values.isnan().sum()), int(values.isinf().sum())
    finite = values[values.isfinite()].double()
    if not finite.numel():
        return Statistics(None, None, None, None, nan, infinite)
    low, high = torch.aminmax(finite)
    least, most = low.item(), high.item()
    scale = 2.0 ** (math.frexp(max(-least, most))[1] - 1)  # a power of two, which changes no digit
    mean, std = _mean_and_spread(finite / scale)
    return Statistics(scale * mean, scale * std, least, most, nan, infinite)


# Between these, neither the square of a number nor the sum of billions of them leaves what float32 can hold.
_SMALLEST, _LARGEST = 1e-15, 1e14


def _mean_and_spread(values: Tensor) -> tuple[float, float]:
    """Return the mean, and the root of the mean square around it; torch.std takes ten times as long."""
    count = values.numel()
    mean, square = float(values.sum()) / count, _sum_of_squares(values) / count
    # Around zero and then moved, which is one kernel less, unless the mean is so large beside the spread that
    # the difference would lose the digits that count.
    if 2 * mean * mean > square:
        return mean, (_sum_of_squares(values - mean) / count) ** 0.5
    return mean, (square - mean * mean) ** 0.5


def _sum_of_squares(values: Tensor) -> float:
    """Return the sum of the squares, of many row by row first: one sum of millions loses digits."""
    if values.numel() <= _MANY and values.is_contiguous():
        flat = values.view(-1)
        return float(torch.dot(flat, flat))  # in half the time of the norm
    if values.dim() > 1:
        values = torch.linalg.vector_norm(values, dim=-1)
    return float(torch.linalg.vector_norm(values)) ** 2


_MANY = 1 << 20


def is_all_finite(tensor: Tensor) -> bool:
    """Tell whether a tensor surely holds neither NaN nor an infinity: of one that is wrapped nobody knows."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    if not has_numbers(tensor):
        return False
    values = tensor.detach() if tensor.requires_grad else tensor  # a look is no part of anybody's graph
    # The sum tells at once in nearly every case; large numbers may overflow it.
    try:
        return bool(values.sum().isfinite()) or bool(values.isfinite().all())
    except (RuntimeError, TypeError, ValueError):
        return False  # of a kind that cannot be looked into
