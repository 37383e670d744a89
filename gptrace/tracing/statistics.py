"""Mean, spread and extremes of a tensor, taken at the moment it is seen."""

from __future__ import annotations

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
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return None  # of a kind that cannot be looked into: fake, batched by vmap, of eight bits


def _of_floats(tensor: Tensor) -> Statistics | None:
    # A fake or a wrapped tensor has no numbers to look at, or looks are recorded into somebody's graph.
    if type(tensor) not in (Tensor, torch.nn.Parameter) or tensor.is_meta:
        return None
    if not tensor.is_floating_point() or tensor.layout is not torch.strided:
        return None
    values = tensor.detach()
    if not values.numel():
        return None
    if values.dtype in (torch.float16, torch.bfloat16):
        values = values.float()
    mean = values.mean()
    # Centred first: the difference of two large sums would lose the digits that count. torch.var_mean does
    # the same in one pass, and takes ten times as long.
    deviation = _norm(values - mean)
    low, high = torch.aminmax(values)
    found = torch.stack((mean, deviation, low, high)).tolist()  # one look at the device
    nan = infinite = 0
    count = values.numel()
    if not all(map(_is_finite, found)):
        nan, infinite = int(values.isnan().sum()), int(values.isinf().sum())
        finite = values[values.isfinite()].double()
        if not finite.numel():
            return Statistics(None, None, None, None, nan, infinite)
        deviation = _norm(finite - finite.mean())
        count = finite.numel()
        found = [float(finite.mean()), float(deviation), float(finite.min()), float(finite.max())]
    mean_value, norm, least, most = found
    return Statistics(mean_value, norm / count**0.5, least, most, nan, infinite)


def _norm(values: Tensor) -> Tensor:
    """Return the root of the sum of squares, row by row first: millions of squares in one sum lose digits."""
    rows = values if values.dim() < 2 else torch.linalg.vector_norm(values, dim=-1)
    result: Tensor = torch.linalg.vector_norm(rows)
    return result


def is_all_finite(tensor: Tensor) -> bool:
    """Tell whether a tensor holds neither NaN nor an infinity; what has no numbers does not."""
    if not tensor.is_floating_point() or tensor.is_meta or tensor.layout is not torch.strided:
        return True
    # The sum tells at once in nearly every case; large numbers may overflow it.
    try:
        return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return True  # of a kind that cannot be looked into


def _is_finite(value: float) -> bool:
    return value - value == 0
