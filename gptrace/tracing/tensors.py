"""Find the tensors in the arguments and results of modules, and describe each."""

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
# Returns the graph that torch.jit.trace is recording, or None. While it records, each size of a shape is a
# tensor, so that the graph knows where the size came from.
_is_tracing = torch._C._get_tracing_state


class TensorInfo(NamedTuple):
    """Name, shape, dtype and device of a tensor, as they were in the hook.

    `local_shape` is the shape of this process's part of a distributed tensor.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    local_shape: tuple[int, ...] | None = None


# Values that contain no tensor: by exact type, which is quick to tell, and by kind.
TENSORLESS_TYPES = frozenset({type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device})
_TENSORLESS_KINDS = (str, bytes, int, float, complex, torch.dtype, torch.device, torch.nn.Module, type)

# The blocks of a model repeat the same facts. Sharing one object for each also leaves the garbage collector
# less to walk during a forward pass.
_info_cache: dict[tuple[object, ...], tuple[TensorInfo, ...]] = {}
_CACHE_LIMIT = 1000

# A cache of keys and values can hold hundreds of tensors; the rest of a longer value is left out.
_TENSORS_PER_VALUE = 1000


def describe_tensors(name: str, value: object) -> tuple[TensorInfo, ...]:
    """Return a description of each tensor in `value`, in order, named by its place there.

    >>> [info.name for info in describe_tensors("output", (torch.ones(2), {"logits": torch.ones(3)}))]
    ['output[0]', 'output[1].logits']
    """
    if (type(value) is Tensor or type(value) is Parameter) and not _is_tracing():  # the usual case
        try:
            facts = (name, tuple(value.shape), value.dtype, value.device)
            infos = _info_cache.get(facts)
            if infos is None:
                if len(_info_cache) >= _CACHE_LIMIT:
                    _info_cache.clear()
                infos = _info_cache[facts] = (TensorInfo(*facts),)
            return infos
        except (RuntimeError, TypeError):  # nested tensors have no plain sizes, others have symbolic ones
            pass
    return describe_each(find_tensors(name, value))


def describe_each(tensors: Iterable[tuple[str, Tensor]]) -> tuple[TensorInfo, ...]:
    """Return a description of each of these named tensors."""
    return tuple([_tensor_info(name, tensor) for name, tensor in tensors])


def find_tensors(name: str, value: object) -> list[tuple[str, Tensor]]:
    """Return the tensors in `value`, in order, each with the name of its place there."""
    if type(value) is Tensor or type(value) is Parameter:  # the usual case
        return [(name, value)]
    tensors: list[tuple[str, Tensor]] = []
    # The user's container may raise when it is iterated; that must not stop the forward pass.
    with suppress(Exception):
        _collect(name, value, tensors, set())
    return tensors


def _tensor_info(name: str, tensor: Tensor) -> TensorInfo:
    # The shape of a DTensor is that of the whole tensor; `_local_tensor` is the shard of this process.
    local = getattr(tensor, "_local_tensor", None) if type(tensor) is not Tensor else None
    local_shape = tuple(local.shape) if isinstance(local, Tensor) else None
    return TensorInfo(name, _shape(tensor), tensor.dtype, tensor.device, local_shape)


def _shape(tensor: Tensor) -> tuple[int, ...]:
    """Return the sizes; () for a tensor that has no plain ones: nested, or not yet initialised."""
    try:
        return tuple(map(int, tensor.shape))
    except (RuntimeError, TypeError, ValueError, AttributeError):
        return ()


class ArgumentNames(NamedTuple):
    """The names of the positional arguments of a `forward`, and of its `*args`."""

    positional: tuple[str, ...]
    rest: str


def argument_names(module_class: type[torch.nn.Module]) -> ArgumentNames:
    """Return the argument names of a module class's `forward`.

    >>> argument_names(torch.nn.Bilinear).positional
    ('input1', 'input2')
    """
    forward = getattr(module_class, "forward", None)
    if forward is None:  # a scripted module defines its forward in TorchScript
        return ArgumentNames((), "args")
    if forward not in _names_cache:
        _names_cache[forward] = _signature_names(forward)
    return _names_cache[forward]


# Weak, so that a class defined inside a function can be freed.
_names_cache: WeakKeyDictionary[Any, ArgumentNames] = WeakKeyDictionary()


def _signature_names(forward: Any) -> ArgumentNames:
    try:
        parameters = list(inspect.signature(forward).parameters.values())[1:]
    except (TypeError, ValueError, AttributeError):
        return ArgumentNames((), "args")
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = tuple(parameter.name for parameter in parameters if parameter.kind in by_position)
    rest = (parameter.name for parameter in parameters if parameter.kind is inspect.Parameter.VAR_POSITIONAL)
    return ArgumentNames(names, next(rest, "args"))


def describe_arguments(
    names: ArgumentNames, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> tuple[TensorInfo, ...]:
    """Return a description of each tensor that a module was called with, named as its `forward` names it."""
    if len(args) == 1 and names.positional and not kwargs:  # the usual case
        return describe_tensors(names.positional[0], args[0])
    infos: list[TensorInfo] = []
    named = len(names.positional)
    for position, value in enumerate(args):
        name = names.positional[position] if position < named else f"{names.rest}[{position - named}]"
        infos += describe_tensors(name, value)
    for name, value in kwargs.items():
        infos += describe_tensors(name, value)
    return tuple(infos)


def _collect(name: str, value: object, tensors: list[tuple[str, Tensor]], visited: set[int]) -> None:
    """Append the tensors in `value` to `tensors`; `visited` are the ids of the containers so far."""
    if isinstance(value, Tensor):
        tensors.append((name, value))
        return
    if value is None or isinstance(value, _TENSORLESS_KINDS) or len(tensors) >= _TENSORS_PER_VALUE:
        return
    if id(value) in visited:
        return  # a list may contain itself, or another list many times
    visited.add(id(value))
    if isinstance(value, Mapping):  # includes the ModelOutput of transformers
        for key, item in value.items():
            _collect(f"{name}.{key}" if isinstance(key, str) else f"{name}[{key!r}]", item, tensors, visited)
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for key, item in zip(value._fields, value, strict=True):
            _collect(f"{name}.{key}", item, tensors, visited)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _collect(f"{name}[{index}]", item, tensors, visited)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            _collect(f"{name}.{field.name}", getattr(value, field.name, None), tensors, visited)
    # An instance of a user-defined class, such as a cache of keys and values.
    elif hasattr(value, "__dict__") and not callable(value) and type(value).__module__ != "builtins":
        for key, item in vars(value).items():
            if not key.startswith("_"):
                _collect(f"{name}.{key}", item, tensors, visited)
