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
    own: dict[str, int] = {}
    total: dict[str, list[int]] = {}  # parameters, trainable ones, bytes
    counted: set[tuple[str, int]] = set()  # by id: the hash of a tensor takes ten times as long
    for name, parameter in named:
        count = _count(parameter)
        trainable = count if parameter.requires_grad else 0
        size = count * parameter.element_size() if count else 0
        owner = name.rpartition(".")[0]
        for path in ancestors(owner):
            if (path, id(parameter)) in counted:
                continue
            counted.add((path, id(parameter)))
            if path == owner:
                own[path] = own.get(path, 0) + count
            sums = total.setdefault(path, [0, 0, 0])
            sums[0] += count
            sums[1] += trainable
            sums[2] += size
    return {path: ParameterCount(own.get(path, 0), *sums) for path, sums in total.items()}


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
