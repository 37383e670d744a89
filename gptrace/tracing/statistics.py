"""Mean, standard deviation, minimum and maximum of a tensor."""

from __future__ import annotations

import math
from typing import TypeGuard

from gptrace.model.quiet_torch import torch
from gptrace.record import Statistics

Tensor = torch.Tensor
_PLAIN_TYPES = (Tensor, torch.nn.Parameter)
# If the largest magnitude is between these, neither the squares nor a sum of billions of them leave float32.
_SMALLEST, _LARGEST = 1e-15, 1e14
_FLAT_SUM_LIMIT = 1 << 20  # elements
_ROW = 1 << 12  # elements of a row that is summed on its own


def statistics_of(tensor: Tensor) -> Statistics | None:
    """Return the statistics of a floating-point tensor; None for other tensors, empty and unreadable ones.

    NaN and infinities are counted, and left out of the rest. The standard deviation divides by the number of
    elements (no correction for a sample).

    >>> statistics_of(torch.tensor([1.0, 3.0, float("nan")]))
    Statistics(mean=2.0, std=1.0, min=1.0, max=3.0, nan=1, infinite=0)
    """
    try:
        return _statistics(tensor)
    except (RuntimeError, TypeError, ValueError):
        return None  # values that cannot be read: fake, batched by vmap, 8-bit


def has_numbers(value: object) -> TypeGuard[Tensor]:
    """Tell whether a value is a tensor whose numbers can be read: not fake, wrapped, sparse or on meta."""
    is_plain = isinstance(value, Tensor) and type(value) in _PLAIN_TYPES
    return is_plain and value.layout is torch.strided and not value.is_meta  # type: ignore[attr-defined]


def is_all_finite(tensor: Tensor) -> bool:
    """Tell whether a tensor is known to hold neither NaN nor infinity; False where it cannot be read."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    if not has_numbers(tensor):
        return False
    values = tensor.detach() if tensor.requires_grad else tensor  # keep these kernels out of the user's graph
    # The sum alone tells in nearly every case; large finite numbers may overflow it.
    try:
        return bool(values.sum().isfinite()) or bool(values.isfinite().all())
    except (RuntimeError, TypeError, ValueError):
        return False  # values that cannot be read


def _statistics(tensor: Tensor) -> Statistics | None:
    if not has_numbers(tensor) or not tensor.is_floating_point():
        return None
    values = tensor.detach() if tensor.requires_grad else tensor
    if not values.numel():
        return None
    if values.dtype in (torch.float16, torch.bfloat16):
        values = values.float()
    # Each kernel counts: it runs cold, right after the model's own, and takes ten times its usual time.
    low, high = torch.aminmax(values)
    least, most = low.item(), high.item()
    largest = max(-least, most)
    if _SMALLEST < largest < _LARGEST or least == most == 0:
        mean, std = _mean_and_std(values)
        return Statistics(mean, std, least, most, 0, 0)
    nan, infinite = int(values.isnan().sum()), int(values.isinf().sum())
    finite = values[values.isfinite()].double()
    if not finite.numel():
        return Statistics(None, None, None, None, nan, infinite)
    low, high = torch.aminmax(finite)
    least, most = low.item(), high.item()
    scale = 2.0 ** (math.frexp(max(-least, most))[1] - 1)  # a power of two: dividing by it loses no digit
    mean, std = _mean_and_std(finite / scale)
    return Statistics(scale * mean, scale * std, least, most, nan, infinite)


def _mean_and_std(values: Tensor) -> tuple[float, float]:
    """Return mean and standard deviation; torch.std takes ten times as long."""
    count = values.numel()
    mean, square = float(values.sum()) / count, _sum_of_squares(values) / count
    # E[x²] - mean² saves a kernel. Where the mean is large beside the deviation, the difference would lose
    # its significant digits, and E[(x - mean)²] is used.
    if 2 * mean * mean > square:
        return mean, (_sum_of_squares(values - mean) / count) ** 0.5
    return mean, (square - mean * mean) ** 0.5


def _sum_of_squares(values: Tensor) -> float:
    """Return the sum of squares; of many elements row by row first, as one long sum loses digits."""
    if values.is_contiguous():
        values = values.view(-1)
        if len(values) <= _FLAT_SUM_LIMIT:
            return float(torch.dot(values, values))  # twice as fast as the norm
    size = min(values.shape[-1], _ROW)
    rows = values.unfold(-1, size, size)  # (…, rows, size), a view without the rest
    rest = values[..., rows.shape[-2] * size :]
    total = _sum_of_squares(torch.linalg.vector_norm(rows, dim=-1))
    return total + (_sum_of_squares(rest) if rest.numel() else 0.0)
