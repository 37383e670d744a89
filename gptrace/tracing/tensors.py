"""Find the tensors in whatever a module takes or returns, and note what each looks like."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from gptrace.model.quiet_torch import torch


class Seen(NamedTuple):
    """A tensor's outward facts, taken inside the hook: later in-place operations cannot change them."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


# A cache can hold hundreds of tensors; beyond this many of one value nobody reads on.
_MOST = 1000


def see(name: str, value: object) -> list[Seen]:
    """Return the tensors in `value`, in order, each named by where it sits.

    >>> [seen.name for seen in see("output", (torch.ones(2), {"logits": torch.ones(3)}))]
    ['output[0]', 'output[1].logits']
    """
    if isinstance(value, torch.Tensor):
        return [Seen(name, tuple(value.shape), value.dtype, value.device)]
    found: list[Seen] = []
    # Whatever a container of the user's does when it is looked into, the forward pass goes on.
    with suppress(Exception):
        _search(name, value, found, set())
    return found


class ArgumentNames(NamedTuple):
    """What a `forward` calls its positional arguments, and its *args."""

    positional: tuple[str, ...]
    rest: str


def argument_names(module_class: type[torch.nn.Module]) -> ArgumentNames:
    """Return the names of the arguments of a module class's `forward`."""
    forward = getattr(module_class, "forward", None)
    if forward not in _known_names:
        _known_names[forward] = _read_names(forward)
    return _known_names[forward]


# Weak, so that a class made in a function can go.
_known_names: WeakKeyDictionary[Any, ArgumentNames] = WeakKeyDictionary()


def _read_names(forward: Any) -> ArgumentNames:
    try:
        parameters = list(inspect.signature(forward).parameters.values())[1:]
    except (TypeError, ValueError, AttributeError):
        return ArgumentNames((), "args")
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [parameter.name for parameter in parameters if parameter.kind in by_position]
    rest = [parameter.name for parameter in parameters if parameter.kind is inspect.Parameter.VAR_POSITIONAL]
    return ArgumentNames(tuple(names), (rest or ["args"])[0])


def see_arguments(names: ArgumentNames, args: tuple[object, ...], kwargs: Mapping[str, object]) -> list[Seen]:
    """Return the tensors that a module was called with, named as its `forward` names them."""
    found: list[Seen] = []
    for position, value in enumerate(args):
        if position < len(names.positional):
            found += see(names.positional[position], value)
        else:
            found += see(f"{names.rest}[{position - len(names.positional)}]", value)
    for name, value in kwargs.items():
        found += see(name, value)
    return found


def _search(name: str, value: object, found: list[Seen], visited: set[int]) -> None:
    if isinstance(value, torch.Tensor):
        found.append(Seen(name, tuple(value.shape), value.dtype, value.device))
        return
    if value is None or isinstance(value, str | bytes | int | float) or len(found) >= _MOST:
        return
    if id(value) in visited:
        return  # a list may hold itself, or the same list many times over
    visited.add(id(value))
    if isinstance(value, Mapping):  # a ModelOutput of transformers is one
        for key, item in value.items():
            _search(f"{name}.{key}" if isinstance(key, str) else f"{name}[{key!r}]", item, found, visited)
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for key, item in zip(value._fields, value, strict=True):
            _search(f"{name}.{key}", item, found, visited)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _search(f"{name}[{index}]", item, found, visited)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for part in dataclasses.fields(value):
            _search(f"{name}.{part.name}", getattr(value, part.name, None), found, visited)
