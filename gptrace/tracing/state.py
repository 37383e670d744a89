"""Leave a module, and torch, as they were found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gptrace.model.gpt import GPTModel
from gptrace.model.quiet_torch import torch

Module = torch.nn.Module
is_lazy = torch.nn.parameter.is_lazy


@contextmanager
def undisturbed_evaluation(module: Module) -> Iterator[None]:
    """Run the block with `module` in evaluation mode and without gradients, then put everything back.

    Put back are each submodule's train/eval flag, its attributes (parameters, buffers, hooks and submodules
    by name, and whatever else its code keeps), the values of buffers and of embeddings that rescale
    themselves, and the random number generators (of the CPU and of the module's CUDA devices). A lazy
    module stays initialised once it has run, as it would without us.
    """
    flags = [(submodule, submodule.training) for submodule in module.modules()]
    attributes = [(submodule, _attributes(submodule)) for submodule in module.modules()]
    values = [(tensor, tensor.detach().clone()) for tensor in _rewritten(module)]
    accelerators = {p.device.index or 0 for p in module.parameters() if p.device.type == "cuda"}
    # Inference mode is faster, and what is made in it can never be trained: other people's modules may keep
    # some of what they make.
    without_gradients = torch.inference_mode if type(module) is GPTModel else torch.no_grad
    try:
        with torch.random.fork_rng(devices=sorted(accelerators)), without_gradients():
            if any(training for _, training in flags):
                module.eval()
            yield
    finally:
        _restore_flags(module, flags)
        for submodule, before in attributes:
            _restore(submodule, before)
        with torch.no_grad():
            for tensor, saved in values:
                if not (tensor.is_meta or torch.equal(tensor, saved)):
                    tensor.copy_(saved)


@contextmanager
def run_uncompiled() -> Iterator[None]:
    """Have what was compiled run as it was written in the block: compiled code runs no hooks."""
    if "torch._dynamo" not in sys.modules:  # then nothing was
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def _restore_flags(module: Module, flags: list[tuple[Module, bool]]) -> None:
    for submodule, training in flags:
        # Code that does something of its own when turned to evaluation undoes it when it is turned back.
        if training and type(submodule).train is not Module.train:
            submodule.train(True)
    for submodule, training in flags:
        submodule.training = training


def _attributes(module: Module) -> dict[str, Any] | None:
    """Return what a module holds, its registries copied; None for a scripted one, which is no Python."""
    if isinstance(module, torch.jit.ScriptModule):
        return None
    return {
        name: dict(value) if name.startswith("_") and isinstance(value, dict) else value
        for name, value in vars(module).items()
    }


def _restore(module: Module, before: dict[str, Any] | None) -> None:
    if before is None or any(is_lazy(one) for one in (before.get("_parameters") or {}).values()):
        return
    now = vars(module)
    for name in [name for name in now if name not in before]:
        del now[name]
    for name, value in before.items():
        if name == "training":
            continue
        held = now.get(name)
        if isinstance(value, dict) and name.startswith("_") and isinstance(held, dict):
            if not _same(held, value):
                held.clear()
                held.update(value)
        elif held is not value:
            now[name] = value


def _same(held: dict[str, Any], value: dict[str, Any]) -> bool:
    return held.keys() == value.keys() and all(held[name] is value[name] for name in value)


def _rewritten(module: Module) -> list[torch.Tensor]:
    """Return the tensors that a forward pass may write into."""
    rescaled = [
        submodule.weight
        for submodule in module.modules()
        if isinstance(submodule, torch.nn.Embedding | torch.nn.EmbeddingBag)
        and submodule.max_norm is not None
    ]
    return [tensor for tensor in (*module.buffers(), *rescaled) if not is_lazy(tensor)]
