"""Models with shapes and no numbers: what weights are assigned to, and what device meta runs."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gptrace.model.config import GPTConfig
from gptrace.model.gpt import GPTModel
from gptrace.model.quiet_torch import torch


@contextmanager
def hollow() -> Iterator[None]:
    """Make every module that is built in the block one whose parameters are on device meta."""
    with torch.device("meta"), _NoInitialisation():
        yield


def meta_model(config: GPTConfig) -> GPTModel:
    """Return a model whose parameters are on device meta: they take no memory.

    >>> meta_model(GPTConfig(n_layers=96, emb_dim=12288, n_heads=96)).out_head.weight.shape
    torch.Size([50257, 12288])
    """
    with hollow():
        return GPTModel(config)


def meta_copy(module: torch.nn.Module) -> torch.nn.Module:
    """Return a copy of a module with every tensor on device meta, and without hooks.

    >>> meta_copy(torch.nn.Linear(3, 2)).weight.is_meta
    True
    """
    held = [
        tensor
        for submodule in module.modules()
        for tensor in (
            *submodule._parameters.values(),
            *submodule._buffers.values(),
            *vars(submodule).values(),
        )
        if isinstance(tensor, torch.Tensor)
    ]
    # What is in a deepcopy's memo is taken from there, and not copied.
    memo: dict[int, Any] = {}
    for tensor in held:
        empty = torch.empty_like(tensor, device="meta")
        is_parameter = isinstance(tensor, torch.nn.Parameter)
        memo[id(tensor)] = torch.nn.Parameter(empty, tensor.requires_grad) if is_parameter else empty
    return without_hooks(copy.deepcopy(module, memo))


def without_hooks(module: torch.nn.Module) -> torch.nn.Module:
    """Take the forward hooks off a copy: they are its original's, and would see calls that are none."""
    for submodule in module.modules():
        submodule._forward_hooks.clear()
        submodule._forward_pre_hooks.clear()
    return module


class _NoInitialisation(torch.overrides.TorchFunctionMode):
    """Leaves out torch.nn.init, which on device meta fills nothing and imports for a second to do so."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
