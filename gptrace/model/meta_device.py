"""Modules on device meta, where tensors have shapes but no values: to take weights, or to trace shapes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gptrace.model.config import GPTConfig
from gptrace.model.gpt import GPTModel
from gptrace.model.interrupts import interrupts_allowed, interrupts_held
from gptrace.model.offloading import offloaded_tensors, without_device_hooks, without_device_hooks_memo
from gptrace.model.quiet_torch import torch


@contextmanager
def meta_parameters() -> Iterator[None]:
    """Create the parameters of every module that is built in the block on device meta."""
    with interrupts_held(), torch.device("meta"), _NoInitialisation(), interrupts_allowed():
        yield


def meta_model(config: GPTConfig) -> GPTModel:
    """Return a GPTModel whose parameters are on device meta, where they take no memory.

    >>> meta_model(GPTConfig(n_layers=96, emb_dim=12288, n_heads=96)).out_head.weight.shape
    torch.Size([50257, 12288])
    """
    with meta_parameters():
        return GPTModel(config)


def meta_copy(module: torch.nn.Module) -> torch.nn.Module:
    """Return a deep copy of `module` without hooks, and with every tensor on device meta.

    The tensors are those that a submodule holds as a parameter, a buffer or a plain attribute.

    >>> meta_copy(torch.nn.Linear(3, 2)).weight.is_meta
    True
    """
    # deepcopy does not copy an object whose id is a key of its memo, but takes the value there.
    memo: dict[int, Any] = without_device_hooks_memo(module)
    for submodule in module.modules():
        # PyTorch keeps parameters and buffers in these private dicts (None for an absent one), and any other
        # tensor as a plain attribute.
        registries = (submodule._parameters, submodule._buffers, vars(submodule))
        for tensor in (value for registry in registries for value in registry.values()):
            if isinstance(tensor, torch.Tensor):
                empty = torch.empty_like(tensor, device="meta")
                is_parameter = isinstance(tensor, torch.nn.Parameter)
                memo[id(tensor)] = torch.nn.Parameter(empty, tensor.requires_grad) if is_parameter else empty
    return without_hooks(copy.deepcopy(module, memo))


def fill_meta_parameters(module: torch.nn.Module) -> torch.nn.Module:
    """Give random weights to the submodules that were built on device meta, and return the module.

    Code that loads weights later builds large parts there, such as experts, which could not run without.
    Only a submodule that can start anew, by `reset_parameters`, gets weights; one whose weights are brought
    in for each call has some.

    >>> fill_meta_parameters(torch.nn.Linear(3, 2, device="meta")).weight.device.type
    'cpu'
    """
    offloaded = offloaded_tensors(module)
    for submodule in module.modules():
        reset, own = getattr(submodule, "reset_parameters", None), submodule.parameters(recurse=False)
        if callable(reset) and any(each.is_meta and id(each) not in offloaded for each in own):
            submodule.to_empty(device="cpu", recurse=False)
            reset()
    return module


def without_hooks(module: torch.nn.Module) -> torch.nn.Module:
    """Remove the forward hooks from a copy, and return it. They belong to calls of the original alone.

    The hooks lie in two private dicts of each module; no public function removes hooks without their handles.
    """
    for submodule in module.modules():
        submodule._forward_hooks.clear()
        submodule._forward_pre_hooks.clear()
    return without_device_hooks(module)


class _NoInitialisation(torch.overrides.TorchFunctionMode):
    """Skips the functions of torch.nn.init.

    On device meta they have nothing to fill, and their first call there imports modules for about a second.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
