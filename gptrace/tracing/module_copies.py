"""Copies of the user's model, to be run in its place."""

from __future__ import annotations

import copy

from gptrace.model.free_memory import check_memory
from gptrace.model.meta_device import without_hooks
from gptrace.model.offloading import copy_with_numbers, has_device_hooks
from gptrace.model.quiet_torch import torch
from gptrace.tracing.parameters import is_lazy

Module = torch.nn.Module
_SMALL_MODEL_BYTES = 64 << 20


def is_small(module: Module) -> bool:
    """Tell whether a copy of the module takes no memory to speak of."""
    return _bytes_of(module) < _SMALL_MODEL_BYTES


def copy_with_values(module: Module) -> Module:
    """Return a copy with the same numbers, on the CPU if accelerate has spread the original.

    Raises MemoryNeededError where there is no room for it.
    """
    check_memory(2 * _bytes_of(module), "a copy of the model")
    copied = without_hooks(copy_with_numbers(module))
    return copied.to("cpu") if has_device_hooks(module) else copied


def device_of_copy(module: Module) -> torch.device:
    """Return the device that `copy_with_values` puts a copy on."""
    first = next(module.parameters(), None)
    return torch.device("cpu") if first is None or has_device_hooks(module) else first.device


def copy_or_none(module: Module) -> Module | None:
    """Return a copy of a model before it runs, which may fill its cache; None if it cannot be copied."""
    try:
        return copy.deepcopy(module)
    except Exception:
        return None


def _bytes_of(module: Module) -> int:
    tensors = (*module.parameters(), *module.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors if not is_lazy(tensor))
