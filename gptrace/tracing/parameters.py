"""Parameters and buffers counted: each tensor once, however many names it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from gptrace.model.quiet_torch import torch
from gptrace.record import ParameterCount, ParameterTotals

is_lazy = torch.nn.parameter.is_lazy
Module = torch.nn.Module


class Held(NamedTuple):
    """A parameter that a module holds: each of its names, how many numbers it has, and their bytes."""

    parameter: torch.nn.Parameter
    names: list[str]
    numbers: int
    trainable: int
    bytes: int


def every_name(module: Module, path: str = "") -> Iterator[tuple[str, Module]]:
    """Yield each name of each submodule with the submodule; one that two parents share comes twice.

    What `named_modules(remove_duplicate=False)` yields, without passing each through all levels above it.
    """
    waiting = [(path, module)]
    while waiting:
        path, module = waiting.pop()
        yield path, module
        children = module._modules
        if children:
            prefix = f"{path}." if path else ""
            waiting += [
                (prefix + name, child) for name, child in reversed(children.items()) if child is not None
            ]


def held_parameters(module: Module) -> list[Held]:
    """Return every parameter once, with all its names; a lazy one has no numbers yet.

    >>> layers = torch.nn.Sequential(torch.nn.Linear(3, 2))
    >>> [(one.names, one.numbers) for one in held_parameters(layers)]
    [(['0.weight'], 6), (['0.bias'], 2)]
    """
    found: dict[int, Held] = {}  # by id: the hash of a tensor takes ten times as long
    for prefix, submodule in every_name(module):
        for name, parameter in submodule._parameters.items():
            if parameter is None:
                continue
            held = found.get(id(parameter))
            if held is None:
                count = 0 if is_lazy(parameter) else parameter.numel()
                trainable = count if parameter.requires_grad else 0
                size = count * parameter.element_size() if count else 0
                held = found[id(parameter)] = Held(parameter, [], count, trainable, size)
            held.names.append(f"{prefix}.{name}" if prefix else name)
    return list(found.values())


def count_by_module(parameters: Sequence[Held]) -> dict[str, ParameterCount]:
    """Return the parameters of each submodule that has any, own and with its children, by path.

    >>> layers = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    >>> count_by_module(held_parameters(layers))[""]
    ParameterCount(own=0, total=8, trainable=8, bytes=32)
    """
    total: dict[str, list[int]] = {}  # own, all, trainable ones, bytes
    for _, names, count, trainable, size in parameters:
        owners = {name.rpartition(".")[0] for name in names}
        for path in set(chain.from_iterable(map(ancestors, owners))):
            sums = total.get(path)
            if sums is None:
                sums = total[path] = [0, 0, 0, 0]
            if path in owners:
                sums[0] += count
            sums[1] += count
            sums[2] += trainable
            sums[3] += size
    return {path: ParameterCount(*sums) for path, sums in total.items()}


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


def count_all(parameters: Sequence[Held], head: str = "out_head") -> ParameterTotals:
    """Return the sums over a model; `head` is the path of the output head, if it has one there."""
    unique = sum(one.numbers for one in parameters)
    of_head = [one for one in parameters if all(name.startswith(head + ".") for name in one.names)]
    head_own = sum(one.numbers for one in of_head)
    return ParameterTotals(
        total=sum(one.numbers * len(one.names) for one in parameters),
        unique=unique,
        trainable=sum(one.trainable for one in parameters),
        bytes=sum(one.bytes for one in parameters),
        tied=tuple(tuple(one.names) for one in parameters if len(one.names) > 1),
        without_out_head=unique - head_own if head_own else None,
    )


def buffer_bytes(module: Module) -> int:
    """Return the bytes of all buffers, saved in the state dict or not."""
    buffers = {
        id(buffer): buffer
        for _, submodule in every_name(module)
        for buffer in submodule._buffers.values()
        if buffer is not None and not is_lazy(buffer)
    }
    return sum(buffer.numel() * buffer.element_size() for buffer in buffers.values())
