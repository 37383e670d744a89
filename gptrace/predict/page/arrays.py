"""Tensors → the bytes of arrays, little-endian, as the page's JSON holds them."""

from __future__ import annotations

import sys
from array import array

from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import as_float64
from gptrace.record.base import Base64Bytes

Tensor = torch.Tensor
LEVELS = 65534  # of a logit; the one above stands for minus infinity


def float32_array(values: Tensor) -> Base64Bytes:
    """Return the numbers of a tensor as float32.

    >>> len(float32_array(torch.ones(3, dtype=torch.bfloat16)))
    12
    """
    return _bytes("f", values)


def weights_array(weights: Tensor) -> Base64Bytes:
    """Return weights from 0 to 1 as uint8, each within 1/510.

    >>> list(weights_array(torch.tensor([0.0, 0.5, 1.0])))
    [0, 128, 255]
    """
    return _bytes("B", (as_float64(weights) * 255).round())


def logits_array(logits: Tensor) -> tuple[Base64Bytes, float, float]:
    """Return logits as uint16, the lowest finite one, and the step from one number to the next.

    >>> data, low, step = logits_array(torch.tensor([-1.0, 1.0, -torch.inf]))
    >>> list(memoryview(data).cast("H")), low, round(step * 65534, 9)
    ([0, 65534, 65535], -1.0, 2.0)
    """
    values = as_float64(logits)
    finite = values.isfinite()
    low, high = float(values[finite].min()), float(values[finite].max())
    step = (high - low) / LEVELS or 1.0
    levels = torch.where(finite, ((values - low) / step).round(), LEVELS + 1)
    return _bytes("H", levels), low, step


def _bytes(code: str, values: Tensor) -> Base64Bytes:
    # Without numpy, since torch may be installed without it.
    numbers = values.detach().flatten().tolist()
    packed = array(code, numbers if code == "f" else map(int, numbers))
    if sys.byteorder == "big":
        packed.byteswap()
    return Base64Bytes(packed.tobytes())
