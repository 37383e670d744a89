"""Leave a module, and torch, as they were found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gptrace.model.quiet_torch import torch


@contextmanager
def undisturbed_evaluation(module: torch.nn.Module) -> Iterator[None]:
    """Run the block with `module` in evaluation mode and without gradients, then put everything back.

    Put back are each submodule's train/eval flag, the buffers and their values, the random number
    generators (of the CPU and of the module's CUDA devices) and the grad mode.
    """
    flags = [(submodule, submodule.training) for submodule in module.modules()]
    # Both: a forward may change a buffer, or put another in its place.
    buffers = [(submodule, dict(submodule._buffers)) for submodule in module.modules()]
    values = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    accelerators = {p.device.index or 0 for p in module.parameters() if p.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=sorted(accelerators)), torch.inference_mode():
            module.eval()
            yield
    finally:
        for submodule, training in flags:
            submodule.training = training
        for submodule, before in buffers:
            submodule._buffers.clear()
            submodule._buffers.update(before)
        with torch.no_grad():
            for buffer, saved in values:
                if not (buffer.is_meta or torch.equal(buffer, saved)):
                    buffer.copy_(saved)
