"""Name the arguments of a module call as its `forward` names them, and describe the tensors in them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from gptrace.model.quiet_torch import torch
from gptrace.tracing.tensors import (
    Found,
    TensorInfo,
    describe_each,
    describe_tensors,
    find_named,
    find_tensors,
)


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


def signature_of(method: Any) -> inspect.Signature:
    """Return the signature of a method, as `inspect.signature` finds it, once for each class.

    Raises what that raises: a TypeError or ValueError where there is none.
    """
    function = getattr(method, "__func__", None)
    if not inspect.isfunction(function):
        return inspect.signature(method)
    if function not in _signatures:
        _signatures[function] = inspect.signature(method)
    return _signatures[function]


# Weak, as above.
_signatures: WeakKeyDictionary[Any, inspect.Signature] = WeakKeyDictionary()


def describe_arguments(
    names: ArgumentNames, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> tuple[TensorInfo, ...]:
    """Return a description of each tensor that a module was called with, named as its `forward` names it."""
    if len(args) == 1 and names.positional and not kwargs:  # the usual case
        return describe_tensors(names.positional[0], args[0])
    return describe_each(find_arguments(names, args, kwargs))


def find_arguments(names: ArgumentNames, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Found:
    """Return the tensors that `describe_arguments` describes, each with its place."""
    if len(args) == 1 and names.positional and not kwargs:  # the usual case
        return find_tensors(names.positional[0], args[0])
    further = [f"{names.rest}[{number}]" for number in range(len(args) - len(names.positional))]
    return find_named((*names.positional, *further), args, kwargs)
