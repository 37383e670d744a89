"""Modules and parameters that torch does not see: those in a plain list, tuple or dict."""

from __future__ import annotations

from collections.abc import Iterator

from gptrace.model.quiet_torch import torch

Module = torch.nn.Module
_DEEPEST = 4  # of lists in lists
_PRIVATE = frozenset(vars(Module()))


def hidden_modules(module: Module) -> Iterator[str]:
    """Yield the names of lists, tuples and dicts of modules or parameters, which torch does not see."""
    registered = {id(submodule) for submodule in module.modules()}
    parameters = {id(parameter) for parameter in module.parameters()}
    for path, submodule in module.named_modules():
        for name, value in vars(submodule).items():
            if name.startswith("_") and name in _PRIVATE:
                continue
            if not isinstance(value, dict | list | tuple):
                continue
            for item in _flat(value):
                is_parameter = isinstance(item, torch.nn.Parameter) and id(item) not in parameters
                is_module = isinstance(item, Module) and id(item) not in registered and _has_parameters(item)
                if is_parameter or is_module:
                    yield f"{path}.{name}".removeprefix(".")
                    break


def modules_in(module: Module, name: str) -> list[Module]:
    """Return the modules in a list, tuple or dict, by the name of the attribute that holds it."""
    path, _, attribute = name.rpartition(".")
    holder = getattr(module.get_submodule(path), attribute)
    return [item for item in _flat(holder) if isinstance(item, Module)]


def _has_parameters(module: Module) -> bool:
    return next(module.parameters(), None) is not None


def _flat(holder: object, depth: int = 0) -> Iterator[object]:
    """Yield what lists, tuples and dicts hold, and those within them."""
    if isinstance(holder, dict | list | tuple) and depth < _DEEPEST:
        for item in list(holder.values()) if isinstance(holder, dict) else list(holder):
            yield from _flat(item, depth + 1)
    else:
        yield holder
