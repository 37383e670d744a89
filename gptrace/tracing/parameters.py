"""Parameters and buffers counted: each tensor once, however many names it has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import chain
from typing import NamedTuple

from gptrace.model.offloading import OffloadedTensor, offloaded_tensors
from gptrace.model.quiet_torch import torch
from gptrace.record import DeviceShare, ParameterCount, ParameterTotals

Parameter = torch.nn.Parameter
is_lazy = torch.nn.parameter.is_lazy
Module = torch.nn.Module
_Sums = tuple[int, int, int, int]  # own, total, trainable, bytes


class ParameterRef(NamedTuple):
    """A parameter and where it is: the path of its module and its name there.

    `elements` is its size, `trainable` the same or 0. `aliases` are the further (path, name) pairs
    of a tied parameter.
    """

    parameter: torch.nn.Parameter
    path: str
    name: str
    elements: int
    trainable: int
    bytes: int
    aliases: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every full name of the parameter in the model."""
        places = ((self.path, self.name), *self.aliases)
        return tuple(f"{path}.{name}" if path else name for path, name in places)


def named_modules_with_aliases(module: Module) -> list[tuple[str, Module]]:
    """Return every path of every submodule with the submodule; one with two parents comes twice.

    The same as `named_modules(remove_duplicate=False)`, but a deep module takes no longer than a shallow one,
    and a module inside itself is left out there: its paths have no end.
    It reads `_modules`, where a module keeps its children by name; a child may be None.
    """
    root, seen = module, set()
    pending, paths = [("", module)], list[tuple[str, Module]]()
    while pending:
        entry = path, module = pending.pop()
        key = id(module)
        if key in seen and any(module is around for around in _modules_around(root, path)):
            continue
        seen.add(key)
        paths.append(entry)
        children = module._modules
        if children:
            prefix = f"{path}." if path else ""
            pending += [
                (prefix + name, child) for name, child in reversed(children.items()) if child is not None
            ]
    return paths


def children_of(modules: Iterable[tuple[str, Module]]) -> list[tuple[tuple[str, int], ...]]:
    """Return the name and the id of each child of each of these modules.

    Two results for modules that are alive are equal if none has got other children in between. This takes a
    fraction of the time of another walk.
    """
    return [
        tuple([(name, id(child)) for name, child in module._modules.items()]) if module._modules else ()
        for _, module in modules
    ]


def _modules_around(root: Module, path: str) -> Iterator[Module]:
    """Yield the modules on the way from the root to a submodule, without that itself."""
    module: Module | None = root
    for name in path.split("."):
        assert module is not None
        yield module
        module = module._modules[name]


class Counts(NamedTuple):
    """What the modules of a model hold: of each that has parameters by path, and of the whole."""

    by_path: Mapping[str, ParameterCount]
    totals: ParameterTotals
    buffer_bytes: int


# All paths, each parameter, each buffer, and for each of these tensors which is the first that is the same.
_Facts = tuple[list[str], list[tuple[object, ...]], list[tuple[object, ...]], list[int]]
_MOST_FACTS = 5000
_kept_counts: list[tuple[_Facts, Counts]] = []  # the latest first
_MOST_KEPT = 4


def counts_of(modules: Sequence[tuple[str, Module]]) -> Counts:
    """Return the counts of all modules of a model, parents before children.

    A model that is traced again and again is counted once. What decides is compared, and not the tensors:
    names, shapes, dtypes, which of them are trained, and which are the same.
    """
    try:
        facts = _facts(modules)
    except RuntimeError:  # a nested tensor has no shape
        facts = None
    for kept, counts in _kept_counts[:] if facts is not None else ():
        if kept == facts:
            return counts
    refs = parameter_refs(modules)
    counts = Counts(count_by_module(modules, refs), count_all(refs), buffer_bytes(modules))
    if facts is not None and max(len(facts[1]), len(facts[2])) <= _MOST_FACTS:
        _kept_counts.insert(0, (facts, counts))
        del _kept_counts[_MOST_KEPT:]
    return counts


def _facts(modules: Sequence[tuple[str, Module]]) -> _Facts | None:
    """Return what decides on the counts; None where shapes and dtypes of plain tensors do not."""
    parameters = [
        (path, name, parameter)
        for path, module in modules if module._parameters
        for name, parameter in module._parameters.items() if parameter is not None
    ]  # fmt: skip
    buffers = [
        (path, buffer)
        for path, module in modules if module._buffers
        for buffer in module._buffers.values() if buffer is not None
    ]  # fmt: skip
    tensors = [*[parameter for _, _, parameter in parameters], *[buffer for _, buffer in buffers]]
    kinds = set(map(type, tensors))
    if not (kinds <= {Parameter, torch.Tensor} and {type(each) for _, _, each in parameters} <= {Parameter}):
        return None
    identity = identities(modules)
    first: dict[object, int] = {}
    return (
        [path for path, _ in modules],
        [(path, name, each.shape, each.dtype, each.requires_grad) for path, name, each in parameters],
        [(path, each.shape, each.dtype) for path, each in buffers],
        [
            first.setdefault(identity(tensor) if tensor.is_meta else id(tensor), number)
            for number, tensor in enumerate(tensors)
        ],
    )


def identities(modules: Sequence[tuple[str, Module]]) -> Callable[[torch.Tensor], object]:
    """Return a function that tells tensors of a model apart: those that share memory or a file are one.

    `modules` are all modules of the model, first the model itself.
    """

    @cache  # looked up only where a parameter is on device meta
    def offloaded() -> Mapping[int, OffloadedTensor]:
        return offloaded_tensors(modules[0][1]) if modules else {}

    def identity(tensor: torch.Tensor) -> object:
        entry = offloaded().get(id(tensor)) if tensor.is_meta else None
        return id(tensor) if entry is None else entry.identity

    return identity


def parameter_refs(modules: Iterable[tuple[str, Module]]) -> list[ParameterRef]:
    """Return each parameter of these modules once, with all its names; a lazy one counts 0 elements.

    `_parameters` and `_buffers` of a module hold its own by name; the public iterators would look for
    duplicates in each module anew, and skip the further names.

    >>> layers = torch.nn.Sequential(torch.nn.Linear(3, 2))
    >>> [(ref.names, ref.elements) for ref in parameter_refs(named_modules_with_aliases(layers))]
    [(('0.weight',), 6), (('0.bias',), 2)]
    """
    modules = list(modules)
    identity = identities(modules)
    refs: dict[object, ParameterRef] = {}  # by id: the hash of a tensor takes ten times as long
    aliases: dict[object, list[tuple[str, str]]] = {}
    for path, module in modules:
        for name, parameter in module._parameters.items():
            if parameter is None:
                continue
            key = identity(parameter) if parameter.is_meta else id(parameter)
            if key in refs:
                aliases.setdefault(key, []).append((path, name))
                continue
            elements = 0 if is_lazy(parameter) else parameter.numel()
            trainable = elements if parameter.requires_grad else 0
            size = elements * parameter.element_size() if elements else 0
            refs[key] = ParameterRef(parameter, path, name, elements, trainable, size)
    for key, further in aliases.items():
        refs[key] = refs[key]._replace(aliases=tuple(further))
    return list(refs.values())


def count_by_module(
    modules: Sequence[tuple[str, Module]], parameters: Iterable[ParameterRef]
) -> dict[str, ParameterCount]:
    """Return the parameter counts of each submodule that has any, by path.

    `modules` are all modules of a model, parents before children; `parameters` are what they hold.

    >>> modules = named_modules_with_aliases(torch.nn.Linear(3, 2))
    >>> count_by_module(modules, parameter_refs(modules))[""]
    ParameterCount(own=8, total=8, trainable=8, bytes=32)
    """
    sums: dict[str, _Sums] = {}
    tied = []
    for ref in parameters:
        _, path, _, elements, trainable, size, aliases = ref
        if aliases:
            tied.append(ref)
        else:
            _add(sums, path, elements, elements, trainable, size)
    for path, _ in reversed(modules):  # children before parents: add each to its parent
        of_module = sums.get(path)
        if path and of_module is not None:
            _add(sums, path.rpartition(".")[0], 0, of_module[1], of_module[2], of_module[3])
    for _, owner, _, elements, trainable, size, aliases in tied:  # once in each module around
        owners = {owner, *(path for path, _ in aliases)}
        for path in set(chain.from_iterable(map(ancestors, owners))):
            _add(sums, path, elements if path in owners else 0, elements, trainable, size)
    return {path: _parameter_count(*of_module) for path, of_module in sums.items()}


# The blocks of a model share their counts.
_parameter_count = lru_cache(maxsize=10_000)(ParameterCount)


def _add(sums: dict[str, _Sums], path: str, own: int, total: int, trainable: int, size: int) -> None:
    before = sums.get(path, (0, 0, 0, 0))
    sums[path] = (before[0] + own, before[1] + total, before[2] + trainable, before[3] + size)


@lru_cache(maxsize=100_000)
def ancestors(path: str) -> tuple[str, ...]:
    """Return the path of a module and those of the modules around it, the root last.

    >>> ancestors("trf_blocks.0.att")
    ('trf_blocks.0.att', 'trf_blocks.0', 'trf_blocks', '')
    """
    paths = [path]
    while path:
        path = path.rpartition(".")[0]
        paths.append(path)
    return tuple(paths)


def count_all(parameters: Sequence[ParameterRef]) -> ParameterTotals:
    """Return the sums over a model, and over its parameters outside of `out_head`, if it has one."""
    unique = total = trainable = size = in_head = 0
    tied = []
    for ref in parameters:
        unique += ref.elements
        total += ref.elements * (1 + len(ref.aliases))
        trainable += ref.trainable
        size += ref.bytes
        if ref.aliases:
            tied.append(ref.names)
        # A tied parameter is in the head only if all of its names are.
        if f"{ref.path}.".startswith("out_head.") and all(
            f"{path}.".startswith("out_head.") for path, _ in ref.aliases
        ):
            in_head += ref.elements
    return ParameterTotals(
        total=total,
        unique=unique,
        trainable=trainable,
        bytes=size,
        tied=tuple(tied),
        without_out_head=unique - in_head if in_head else None,
    )


def count_by_device(modules: Sequence[tuple[str, Module]]) -> dict[str, DeviceShare]:
    """Return how many parameters are on each device between calls, and their bytes; each tensor counts once.

    `modules` are all modules of the model, first the model itself.

    >>> count_by_device(list(named_modules_with_aliases(torch.nn.Linear(3, 2))))
    {'cpu': DeviceShare(parameters=8, bytes=32)}
    """
    offloaded = offloaded_tensors(modules[0][1])
    shares: dict[str, DeviceShare] = {}
    for ref in parameter_refs(modules):
        entry = offloaded.get(id(ref.parameter))
        device = str(ref.parameter.device) if entry is None else entry.device
        share = shares.get(device, DeviceShare(0, 0))
        shares[device] = DeviceShare(share.parameters + ref.elements, share.bytes + ref.bytes)
    return shares


def buffers_of(modules: Iterable[tuple[str, Module]]) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield each buffer that has a size, saved by the state dict or not, with the path of its module."""
    for path, module in modules:
        for buffer in module._buffers.values():
            if buffer is not None and not is_lazy(buffer):
                yield path, buffer


def buffer_bytes(modules: Iterable[tuple[str, Module]]) -> int:
    """Return the bytes of all buffers, each once."""
    buffers = {id(buffer): buffer for _, buffer in buffers_of(modules)}
    return sum(buffer.numel() * buffer.element_size() for buffer in buffers.values())
