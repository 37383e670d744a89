"""What torch puts around a user's model to spread it, and the user's own class and model inside of it."""

from __future__ import annotations

import copy
from typing import Any

from gptrace.model.architecture import Architecture
from gptrace.model.quiet_torch import torch

Module = torch.nn.Module
_OF_TORCH = "torch.distributed"
_EXPORTED = "torch.export.unflatten"
# They call the model in their attribute `module` with their own arguments.
_AROUND = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)


def own_class(kind: type) -> type:
    """Return the user's class of a module; `fully_shard` gives a module a class of torch's and the user's.

    >>> own_class(torch.nn.Linear).__name__
    'Linear'
    """
    first, *own = kind.__bases__ or (kind,)
    return own[0] if len(own) == 1 and first.__module__.startswith(_OF_TORCH) else kind


def is_exported(kind: type) -> bool:
    """Tell whether modules of a class are what `torch.export` makes, each from a module of another class."""
    return kind.__module__ == _EXPORTED and hasattr(kind, "type_name")


def class_name(module: Module) -> str:
    """Return the name of the user's class of a module, also of one that `torch.export` has made."""
    kind = type(module)
    if is_exported(kind):
        return str(module.type_name() or kind.__name__).rpartition(".")[2]  # type: ignore[operator]  # torch adds it
    return own_class(kind).__name__


def wrapped_model(module: Module) -> Module | None:
    """Return the model in DataParallel or DistributedDataParallel; None for another module."""
    return module.module if isinstance(module, _AROUND) else None


def around(wrapper: Module, architecture: Architecture) -> Architecture:
    """Return how to build the wrapped model at other sizes, so that its modules have the same paths.

    The resized models are in a plain module: they run in this process alone.
    """

    kind = _plain_kind(wrapper)

    def make() -> Architecture:
        outer = copy.copy(architecture)
        outer.build = lambda changes: _wrapped(kind, architecture.build(changes))
        outer.kept = {}
        return outer

    return architecture.keep("wrapped", type(wrapper).__name__, make)


def in_wrapper(wrapper: Module, module: Module) -> Module:
    """Return a module in a plain one of the wrapper's name, so that its modules have the same paths."""
    return _wrapped(_plain_kind(wrapper), module)


class _Around(Module):
    """Calls the model inside, as the wrappers do, with arguments of the same names."""

    module: Module

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Call the model."""
        return self.module(*inputs, **kwargs)


def _plain_kind(wrapper: Module) -> type[_Around]:
    return type(type(wrapper).__name__, (_Around,), {})


def _wrapped(kind: type[_Around], module: Module) -> Module:
    outer = kind()
    outer.module = module
    return outer.train(module.training)
