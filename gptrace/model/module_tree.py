"""Modules in modules: what PyTorch itself cannot walk through is refused before it is tried."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from gptrace.errors import ConfigError
from gptrace.model.quiet_torch import torch
from gptrace.wording import quoted_value

Module = torch.nn.Module
# Modules that are shared multiply: twenty lists, each twice in the next, are a million paths.
_MOST_PATHS = 1_000_000
# The largest published models have fewer than 100,000, most of them in experts.
_MOST_MODULES = 300_000
# The types of names and values in the registries of nearly every module.
_PARAMETERS = frozenset({(str, torch.nn.Parameter), (str, type(None))})
_BUFFERS = frozenset({(str, torch.Tensor), (str, type(None))})
# PyTorch calls itself for each level of modules; so many calls are left to what calls it.
_OTHER_CALLS = 300
_USUAL_LIMIT = 1000  # of recursion, where no code has set another


def check_submodules(module: Module, *, may_contain_itself: bool = False) -> None:
    """Raise ConfigError for a module whose submodules PyTorch cannot list or walk through.

    These are modules without a hash, since PyTorch puts them in sets; names that are no strings, and entries
    that are no modules or tensors; more levels than Python has calls; modules that share submodules so often
    that there are millions of paths; and, unless it `may_contain_itself`, a module inside itself:
    `module.eval()`, `to()` and `state_dict()` follow all paths, and these have no end.
    """
    most_levels = sys.getrecursionlimit() - _OTHER_CALLS
    if _is_usual(module, most_levels):
        return
    paths: dict[int, int] = {}  # how many paths lead into each module that was walked through, from itself on
    open_modules = [_Opened(module, "")]
    while open_modules:
        current = open_modules[-1]
        name, child = next(current.children, ("", None))
        if child is None:
            open_modules.pop()
            paths[id(current.module)] = current.paths
            if open_modules:
                _add_paths(open_modules[-1], current.paths, module)
        elif id(child) in paths:
            _add_paths(current, paths[id(child)], module)
        elif not any(child is opened.module for opened in open_modules):
            open_modules.append(_Opened(child, name))
            if len(open_modules) > most_levels:
                raise _too_deep(module, most_levels)
        elif not may_contain_itself:
            path = ".".join([*(opened.name for opened in open_modules[1:]), name])
            raise _contains_itself(child, path)


def _is_usual(module: Module, most_levels: int) -> bool:
    """Tell whether a module holds each submodule once, and nothing is to be said against any; else unknown.

    This takes a fraction of the time of the whole check, and is true of nearly every model.
    """
    modules: list[Any] = []
    level: list[Any] = [module]
    while level and most_levels > 0:
        most_levels -= 1
        modules += level
        if len(modules) > _MOST_PATHS or len(set(map(id, level))) < len(level):
            return False
        level = [child for parent in level for child in parent._modules.values() if child is not None]
        if not all(issubclass(kind, Module) for kind in set(map(type, level))):
            return False
    return (
        not level
        and len(set(map(id, modules))) == len(modules)
        and all(kind.__hash__ is not None for kind in set(map(type, modules)))
        and {type(name) for each in modules for name, _ in each._modules.items()} <= {str}
        and _kinds([each._parameters for each in modules]) <= _PARAMETERS
        and _kinds([each._buffers for each in modules]) <= _BUFFERS
    )


def _kinds(registries: Iterable[Mapping[str, object]]) -> set[tuple[type, type]]:
    # The registries of a scripted module have `items`, and cannot be iterated.
    return {(type(name), type(value)) for registry in registries for name, value in registry.items()}


@contextmanager
def bounded_modules(name: str) -> Iterator[None]:
    """Raise ConfigError in the block once this thread has put 300,000 modules into others.

    A number in a configuration may ask for any number of layers or experts. `name` is the model's.
    """
    thread, count = get_ident(), 0

    def count_module(*_: object) -> None:
        nonlocal count
        count += get_ident() == thread
        if count > _MOST_MODULES:
            problem = f"the configuration of {name} asks for more than {_MOST_MODULES:,} modules"
            raise ConfigError(
                problem, "are its numbers of layers and experts right? --set KEY=VALUE changes one"
            )

    handle = torch.nn.modules.module.register_module_module_registration_hook(count_module)
    try:
        yield
    finally:
        handle.remove()


class _Opened:
    """A module on the way from the root to where the walk is."""

    def __init__(self, module: Module, name: str) -> None:
        kind = type(module)
        if kind.__hash__ is None:
            hint = f"write __hash__ = torch.nn.Module.__hash__ in the body of {kind.__name__}"
            raise ConfigError(f"modules of {kind.__name__} have no hash, and torch needs one", hint)
        _check_entries(module)
        self.module, self.name, self.paths = module, name, 1
        # `_modules` holds the children by name; the public iterators follow all paths.
        self.children: Iterator[tuple[str, Module]] = iter(
            [(name, child) for name, child in module._modules.items() if child is not None]
        )


def _check_entries(module: Module) -> None:
    """Raise ConfigError for names and values that were put past the checks of `torch.nn.Module`."""
    entries: tuple[tuple[Mapping[str, object], type], ...] = (
        (module._modules, Module), (module._parameters, torch.Tensor), (module._buffers, torch.Tensor),
    )  # fmt: skip
    for registry, kind in entries:
        for name, value in registry.items():
            if isinstance(name, str) and (value is None or isinstance(value, kind)):
                continue
            raise ConfigError(
                f"{type(module).__name__} has {quoted_value(name)}, of type {type(value).__name__}, in its "
                f"{'submodules' if kind is Module else 'parameters and buffers'}",
                "PyTorch cannot list it: register modules and tensors, each by a name that is a string",
            )


def _add_paths(opened: _Opened, count: int, root: Module) -> None:
    opened.paths += count
    if opened.paths > _MOST_PATHS:
        problem = f"{type(root).__name__} has more than {_MOST_PATHS:,} paths to its submodules"
        hint = "it holds the same modules many times over, and PyTorch follows every path: hold each once"
        raise ConfigError(problem, hint)


def _too_deep(module: Module, levels: int) -> ConfigError:
    name, limit = type(module).__name__, sys.getrecursionlimit()
    if limit < _USUAL_LIMIT:
        problem = (
            f"the recursion limit of {limit}, which sys.setrecursionlimit() set, is too low to run {name}"
        )
        return ConfigError(problem, "leave it at Python's 1000")
    return ConfigError(
        f"{name} nests modules more than {levels} levels deep, and PyTorch calls itself at each",
        "nest them less, or call sys.setrecursionlimit() where the model is defined",
    )


def _contains_itself(module: Module, path: str) -> ConfigError:
    attribute = path.rpartition(".")[2]
    return ConfigError(
        f"{path}, of type {type(module).__name__}, contains itself: PyTorch follows its submodules forever",
        f"keep a parent where PyTorch does not look for submodules, as in self.{attribute} = [parent]",
    )
