"""Parameters and buffers counted: each tensor once, however many names it has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from gptrace.model.quiet_torch import torch
from gptrace.record import ParameterCount, ParameterTotals

is_lazy = torch.nn.parameter.is_lazy
Module = torch.nn.Module
Parameter = torch.nn.Parameter
Named = tuple[str, Parameter]


def named_parameters(module: Module) -> list[Named]:
    """Return every name of every parameter; one that has two names is there twice."""
    return list(module.named_parameters(remove_duplicate=False))


def count_by_module(named: Sequence[Named]) -> dict[str, ParameterCount]:
    """Return the parameters of each submodule that has any, own and with its children, by path.

    >>> layers = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    >>> count_by_module(named_parameters(layers))[""]
    ParameterCount(own=0, total=8, trainable=8, bytes=32)
    """
    own: dict[str, dict[Parameter, int]] = {}
    total: dict[str, dict[Parameter, int]] = {}
    for name, parameter in named:
        count = _count(parameter)
        owner = name.rpartition(".")[0]
        own.setdefault(owner, {})[parameter] = count
        for path in ancestors(owner):
            total.setdefault(path, {})[parameter] = count
    sizes = {parameter: parameter.element_size() for _, parameter in named if not is_lazy(parameter)}
    return {
        path: ParameterCount(
            own=sum(own.get(path, {}).values()),
            total=sum(counts.values()),
            trainable=sum(count for parameter, count in counts.items() if parameter.requires_grad),
            bytes=sum(count * sizes.get(parameter, 0) for parameter, count in counts.items()),
        )
        for path, counts in total.items()
    }


@lru_cache(maxsize=100_000)
def ancestors(path: str) -> tuple[str, ...]:
    """Return a module path and those of the modules around it, the root last.

    >>> ancestors("trf_blocks.0.att")
    ('trf_blocks.0.att', 'trf_blocks.0', 'trf_blocks', '')
    """
    found = [path]
    while path:
        path = path.rpartition(".")[0]
        found.append(path)
    return tuple(found)


def count_all(named: Sequence[Named], head: str = "out_head") -> ParameterTotals:
    """Return the sums over a model; `head` is the path of the output head, if it has one there."""
    names: dict[Parameter, list[str]] = {}
    for name, parameter in named:
        names.setdefault(parameter, []).append(name)
    counts = {parameter: _count(parameter) for parameter in names}
    unique = sum(counts.values())
    head_own = sum(
        counts[parameter]
        for parameter, its_names in names.items()
        if all(name.startswith(head + ".") for name in its_names)
    )
    return ParameterTotals(
        total=sum(counts[parameter] * len(its_names) for parameter, its_names in names.items()),
        unique=unique,
        trainable=sum(count for parameter, count in counts.items() if parameter.requires_grad),
        bytes=sum(count * parameter.element_size() for parameter, count in counts.items() if count),
        tied=tuple(tuple(its_names) for its_names in names.values() if len(its_names) > 1),
        without_out_head=unique - head_own if head_own else None,
    )


def _count(parameter: Parameter) -> int:
    return 0 if is_lazy(parameter) else parameter.numel()  # a lazy one has no size yet


def buffer_bytes(module: Module) -> int:
    """Return the bytes of all buffers, saved in the state dict or not."""
    return sum(buffer.numel() * buffer.element_size() for buffer in module.buffers() if not is_lazy(buffer))
