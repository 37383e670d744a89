"""Find the tensors in whatever a module takes or returns, and note what each looks like."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor
Parameter = torch.nn.Parameter
# Under torch.jit.trace a size is a tensor, for the graph to know where it came from.
_is_tracing = torch._C._get_tracing_state


class TensorInfo(NamedTuple):
    """A tensor's outward facts, taken inside the hook: later in-place operations cannot change them."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    local_shape: tuple[int, ...] | None = None


# What holds no tensor, however one looks at it: by exact type, which is told at once, and by kind.
HOLD_NOTHING = frozenset({type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device})
_PLAIN = (str, bytes, int, float, complex, torch.dtype, torch.device, torch.nn.Module, type)

# Facts that were seen before: most come again in each block, and an object for each would be one more for the
# collector of garbage to walk in the midst of a forward pass.
_seen_before: dict[tuple[object, ...], tuple[TensorInfo, ...]] = {}
_MOST_KEPT = 1000

# A cache can hold hundreds of tensors; beyond this many of one value nobody reads on.
_MOST_OF_ONE = 1000


def describe_tensors(name: str, value: object) -> tuple[TensorInfo, ...]:
    """Return what the tensors in `value` look like, in order, each named by where it sits.

    >>> [seen.name for seen in describe_tensors("output", (torch.ones(2), {"logits": torch.ones(3)}))]
    ['output[0]', 'output[1].logits']
    """
    if (type(value) is Tensor or type(value) is Parameter) and not _is_tracing():  # nearly always
        try:
            facts = (name, tuple(value.shape), value.dtype, value.device)
            known = _seen_before.get(facts)
            if known is None:
                if len(_seen_before) >= _MOST_KEPT:
                    _seen_before.clear()
                known = _seen_before[facts] = (TensorInfo(*facts),)
            return known
        except (RuntimeError, TypeError):  # a nested one has no plain sizes, and others have symbols
            pass
    return describe_each(find_tensors(name, value))


def describe_each(tensors: Iterable[tuple[str, Tensor]]) -> tuple[TensorInfo, ...]:
    """Return what tensors look like that were found already."""
    return tuple([_seen(name, tensor) for name, tensor in tensors])


def find_tensors(name: str, value: object) -> list[tuple[str, Tensor]]:
    """Return the tensors in `value`, in order, each with the name of where it sits."""
    if type(value) is Tensor or type(value) is Parameter:  # nearly always
        return [(name, value)]
    found: list[tuple[str, Tensor]] = []
    # Whatever a container of the user's does when it is looked into, the forward pass goes on.
    with suppress(Exception):
        _search(name, value, found, set())
    return found


def _seen(name: str, tensor: Tensor) -> TensorInfo:
    # A DTensor's shape is that of the whole; what this process holds of it is another.
    local = getattr(tensor, "_local_tensor", None) if type(tensor) is not Tensor else None
    local_shape = tuple(local.shape) if isinstance(local, Tensor) else None
    return TensorInfo(name, _shape(tensor), tensor.dtype, tensor.device, local_shape)


def _shape(tensor: Tensor) -> tuple[int, ...]:
    """Return the sizes; none of a tensor that has no plain ones: nested, or not yet initialised."""
    try:
        return tuple(map(int, tensor.shape))
    except (RuntimeError, TypeError, ValueError, AttributeError):
        return ()


class ArgumentNames(NamedTuple):
    """What a `forward` calls its positional arguments, and its *args."""

    positional: tuple[str, ...]
    rest: str


def argument_names(module_class: type[torch.nn.Module]) -> ArgumentNames:
    """Return the names of the arguments of a module class's `forward`."""
    forward = getattr(module_class, "forward", None)
    if forward is None:  # a scripted module has its forward elsewhere
        return ArgumentNames((), "args")
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


def describe_arguments(
    names: ArgumentNames, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> tuple[TensorInfo, ...]:
    """Return the tensors that a module was called with, named as its `forward` names them."""
    if len(args) == 1 and names.positional and not kwargs:  # nearly always
        return describe_tensors(names.positional[0], args[0])
    found: list[TensorInfo] = []
    for position, value in enumerate(args):
        if position < len(names.positional):
            found += describe_tensors(names.positional[position], value)
        else:
            found += describe_tensors(f"{names.rest}[{position - len(names.positional)}]", value)
    for name, value in kwargs.items():
        found += describe_tensors(name, value)
    return tuple(found)


def _search(name: str, value: object, found: list[tuple[str, Tensor]], visited: set[int]) -> None:
    if isinstance(value, Tensor):
        found.append((name, value))
        return
    if value is None or isinstance(value, _PLAIN) or len(found) >= _MOST_OF_ONE:
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
    elif _is_holder(value):  # such as a cache of keys and values
        for key, item in vars(value).items():
            if not key.startswith("_"):
                _search(f"{name}.{key}", item, found, visited)


def _is_holder(value: object) -> bool:
    """Tell whether an object of somebody's class may hold tensors as attributes."""
    return hasattr(value, "__dict__") and not callable(value) and type(value).__module__ != "builtins"
