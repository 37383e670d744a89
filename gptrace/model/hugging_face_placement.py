"""The placement of a model that does not fit on one device: transformers spreads it with accelerate.

`--device auto` fills the accelerators first, then memory, and leaves the rest on the disk.
"""

from __future__ import annotations

from contextlib import ExitStack
from importlib.util import find_spec
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from gptrace.model import free_memory
from gptrace.model.devices import free_bytes
from gptrace.model.free_memory import memory_needed
from gptrace.model.quiet_torch import torch

# The fraction of the free memory that weights may take: activations and copies need some, too.
_FOR_WEIGHTS = 0.9


def placement_options(
    selected: str, device: torch.device, needed: int, what: str, files: ExitStack
) -> dict[str, Any]:
    """Return how `from_pretrained` has to place `needed` bytes of weights, if `device` has no room for them.

    `selected` is the device that the user named, and `files` removes what is written to the disk. Raises
    MemoryNeededError where the model has to be on one device that is too small for it, or without accelerate.
    """
    free = free_bytes(device)
    if free is None or needed <= free:
        return {}
    if find_spec("accelerate") is None:
        hint = "with pip install accelerate, --device auto spreads it over all devices, memory and disk"
        raise memory_needed(needed, free, what, hint)
    if selected != "auto":
        raise memory_needed(needed, free, what, "--device auto spreads it over all devices, memory and disk")
    from accelerate.utils import get_max_memory

    most: dict[Any, int] = dict(get_max_memory())
    # accelerate does not know the limit of a container.
    in_memory = free_memory.available_bytes()
    if in_memory is not None:
        most["cpu"] = int(_FOR_WEIGHTS * min(in_memory, most.get("cpu", in_memory)))
    folder = mkdtemp(prefix="gptrace-")
    files.callback(rmtree, folder, ignore_errors=True)
    return {"device_map": "auto", "max_memory": most, "offload_folder": folder}
