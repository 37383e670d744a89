"""Parameters and buffers counted: each tensor once, however many names it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from gptrace.model.quiet_torch import torch
from gptrace.record import ParameterCount, ParameterTotals

is_lazy = torch.nn.parameter.is_lazy
Module = torch.nn.Module


class ParameterRef(NamedTuple):
    """A parameter that a module holds: path of the module and name in it, its numbers and their bytes.

    `also` are the other places that it is in, where it is shared.
    """

    parameter: torch.nn.Parameter
    path: str
    name: str
    numbers: int
    trainable: int
    bytes: int
    also: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return every name that it goes by in the model."""
        places = ((self.path, self.name), *self.also)
        return tuple(f"{path}.{name}" if path else name for path, name in places)


def named_modules_with_aliases(module: Module) -> Iterator[tuple[str, Module]]:
    """Yield each name of each submodule with the submodule; one that two parents share comes twice.

    What `named_modules(remove_duplicate=False)` yields, without passing each through all levels above it.
    """
    waiting = [("", module)]
    while waiting:
        path, module = waiting.pop()
        yield path, module
        children = module._modules
        if children:
            prefix = f"{path}." if path else ""
            waiting += [
                (prefix + name, child) for name, child in reversed(children.items()) if child is not None
            ]


def parameter_refs(modules: Iterable[tuple[str, Module]]) -> list[ParameterRef]:
    """Return every parameter of these modules once, with all its names; a lazy one has no numbers yet.

    >>> layers = torch.nn.Sequential(torch.nn.Linear(3, 2))
    >>> [(one.names, one.numbers) for one in parameter_refs(named_modules_with_aliases(layers))]
    [(('0.weight',), 6), (('0.bias',), 2)]
    """
    found: dict[int, ParameterRef] = {}  # by id: the hash of a tensor takes ten times as long
    for path, module in modules:
        for name, parameter in module._parameters.items():
            if parameter is None:
                continue
            held = found.get(id(parameter))
            if held is not None:
                found[id(parameter)] = held._replace(also=(*held.also, (path, name)))
                continue
            count = 0 if is_lazy(parameter) else parameter.numel()
            trainable = count if parameter.requires_grad else 0
            size = count * parameter.element_size() if count else 0
            found[id(parameter)] = ParameterRef(parameter, path, name, count, trainable, size)
    return list(found.values())


def count_by_module(
    modules: Sequence[tuple[str, Module]], parameters: Iterable[ParameterRef]
) -> dict[str, ParameterCount]:
    """Return the parameters of each submodule that has any, own and with its children, by path.

    `modules` are all of a model, a parent before its children; `parameters` are what they hold.

    >>> modules = list(named_modules_with_aliases(torch.nn.Linear(3, 2)))
    >>> count_by_module(modules, parameter_refs(modules))[""]
    ParameterCount(own=8, total=8, trainable=8, bytes=32)
    """
    counts: dict[str, list[int]] = {}  # own, all, trainable ones, bytes
    shared = []
    for held in parameters:
        _, path, _, numbers, trainable, size, also = held
        if also:
            shared.append(held)
        else:
            _add(counts, path, numbers, numbers, trainable, size)
    for path, _ in reversed(modules):
        known = counts.get(path)
        if path and known is not None:
            _add(counts, path.rpartition(".")[0], 0, known[1], known[2], known[3])
    for _, owner, _, numbers, trainable, size, also in shared:  # once in whatever is around any of its places
        owners = {owner, *(path for path, _ in also)}
        for path in set(chain.from_iterable(map(ancestors, owners))):
            _add(counts, path, numbers if path in owners else 0, numbers, trainable, size)
    return {path: _count(*sums) for path, sums in counts.items()}


# The blocks of a model have the same.
_count = lru_cache(maxsize=10_000)(ParameterCount)


def _add(counts: dict[str, list[int]], path: str, own: int, numbers: int, trainable: int, size: int) -> None:
    known = counts.get(path)
    if known is None:
        counts[path] = [own, numbers, trainable, size]
        return
    known[0] += own
    known[1] += numbers
    known[2] += trainable
    known[3] += size


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


def count_all(parameters: Sequence[ParameterRef], head: str = "out_head") -> ParameterTotals:
    """Return the sums over a model; `head` is the path of the output head, if it has one there."""
    inside = head + "."
    unique = total = trainable = size = of_head = 0
    tied = []
    for held in parameters:
        _, path, _, count, of_these, taken, also = held
        unique += count
        total += count * (1 + len(also))
        trainable += of_these
        size += taken
        if also:
            tied.append(held.names)
        if path.startswith(head) and all(name.startswith(inside) for name in held.names):
            of_head += count
    return ParameterTotals(
        total=total,
        unique=unique,
        trainable=trainable,
        bytes=size,
        tied=tuple(tied),
        without_out_head=unique - of_head if of_head else None,
    )


def buffer_bytes(modules: Iterable[tuple[str, Module]]) -> int:
    """Return the bytes of all buffers, saved in the state dict or not."""
    buffers = {
        id(buffer): buffer
        for _, module in modules
        for buffer in module._buffers.values()
        if buffer is not None and not is_lazy(buffer)
    }
    return sum(buffer.numel() * buffer.element_size() for buffer in buffers.values())
