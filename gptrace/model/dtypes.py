"""Names of dtypes."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch


def dtype_name(dtype: torch.dtype) -> str:
    """Return the name of a dtype without its module.

    >>> dtype_name(torch.float32)
    'float32'
    """
    return str(dtype).removeprefix("torch.")
