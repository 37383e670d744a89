"""Parameters and buffers counted: each tensor once, however many names it has."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch
from gptrace.record import ParameterCount, ParameterTotals

Module = torch.nn.Module


def count_by_module(module: Module) -> dict[str, ParameterCount]:
    """Return each submodule's parameters, own and with its children, by path.

    >>> count_by_module(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()))[""]
    ParameterCount(own=0, total=8)
    """
    own: dict[str, dict[int, int]] = {path: {} for path, _ in module.named_modules()}
    total: dict[str, dict[int, int]] = {path: {} for path in own}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        owner = name.rpartition(".")[0]
        own.setdefault(owner, {})[id(parameter)] = parameter.numel()
        for path in ancestors(owner):
            total.setdefault(path, {})[id(parameter)] = parameter.numel()
    return {path: ParameterCount(sum(own[path].values()), sum(total[path].values())) for path in own}


def ancestors(path: str) -> list[str]:
    """Return a module path and those of the modules around it, the root last.

    >>> ancestors("trf_blocks.0.att")
    ['trf_blocks.0.att', 'trf_blocks.0', 'trf_blocks', '']
    """
    found = [path]
    while path:
        path = path.rpartition(".")[0]
        found.append(path)
    return found


def count_all(module: Module, head: str = "out_head") -> ParameterTotals:
    """Return the sums over a model; `head` is the path of the output head, if it has one there."""
    names: dict[torch.nn.Parameter, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    unique = sum(parameter.numel() for parameter in names)
    head_own = sum(
        parameter.numel()
        for parameter, its_names in names.items()
        if all(name.startswith(head + ".") for name in its_names)
    )
    return ParameterTotals(
        total=sum(parameter.numel() * len(its_names) for parameter, its_names in names.items()),
        unique=unique,
        trainable=sum(parameter.numel() for parameter in names if parameter.requires_grad),
        bytes=sum(parameter.numel() * parameter.element_size() for parameter in names),
        tied=tuple(tuple(its_names) for its_names in names.values() if len(its_names) > 1),
        without_out_head=unique - head_own if head_own else None,
    )


def buffer_bytes(module: Module) -> int:
    """Return the bytes of all buffers, saved in the state dict or not."""
    return sum(buffer.numel() * buffer.element_size() for buffer in module.buffers())
