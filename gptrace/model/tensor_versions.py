"""Whether a tensor was written to: the counter that autograd keeps of writes to a tensor and its views."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor
_PLAIN = (Tensor, torch.nn.Parameter)


def version_of(tensor: Tensor) -> int | None:
    """Return the count of writes to a tensor and its views; None for those of inference mode, without one."""
    try:
        return None if tensor.is_inference() else tensor._version
    except RuntimeError:  # some tensor types have no counter
        return None


def has_own_memory(tensor: Tensor) -> bool:
    """Tell whether a tensor holds its numbers itself; one of another class, as a quantized one, may not."""
    return type(tensor) in _PLAIN


def memory_state(tensor: Tensor) -> tuple[int, int | None]:
    """Return what changes when the values of a tensor do: its memory, and how often that was written to."""
    return tensor.data_ptr() if has_own_memory(tensor) else id(tensor), version_of(tensor)
