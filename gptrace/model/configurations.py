"""Read and change a configuration of any kind: a mapping, an object, or what returns one."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from gptrace.model.config import check_settings

Settings = Mapping[str, Any]


def overlaid(config: object, changes: Settings) -> object:
    """Return a copy of a configuration with `changes`; the original stays as it is.

    A class or a function is called first, so `--config model.py:GPTConfig` means its default values. Raises
    ConfigError for a key that the configuration does not have, unless it is a mapping.

    >>> overlaid({"n_layers": 12}, {"n_layers": 2})
    {'n_layers': 2}
    """
    if isinstance(config, Mapping):
        return _of_the_same_kind(config, {**config, **changes})
    if callable(config):
        if dataclasses.is_dataclass(config):
            check_settings(changes, [field.name for field in dataclasses.fields(config)], config)
            return config(**changes)
        # Passed to the call, the changes also reach the values that it derives from them.
        parameters, takes_any = parameters_of(config)
        if changes and (takes_any or {p.name for p in parameters}.issuperset(changes)):
            return config(**changes)
        return overlaid(config(), changes)
    if not changes:
        return config
    check_settings(changes, settings_of(config), config)
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        arguments = {field.name for field in dataclasses.fields(config) if field.init}
        if arguments.issuperset(changes):
            return dataclasses.replace(config, **changes)
    if isinstance(config, tuple) and hasattr(config, "_replace"):
        return config._replace(**changes)
    try:
        changed = copy.deepcopy(config)
    except Exception:  # deepcopy runs user code, which may raise anything
        changed = copy.copy(config)
    for key, value in changes.items():
        object.__setattr__(changed, key, value)  # works for a frozen dataclass too
    return changed


def _of_the_same_kind(config: Mapping[Any, Any], items: dict[Any, Any]) -> Mapping[Any, Any]:
    """Return these items as a mapping of the same class, since code may read `config.emb_dim`.

    A class that cannot be made from its items is replaced by a dict.
    """
    kind: Any = type(config)
    with suppress(Exception):  # its constructor may take something else
        changed = kind(items)
        if isinstance(changed, Mapping) and dict(changed) == items:
            return changed
    return items


def settings_of(config: object) -> dict[str, Any]:
    """Return the keys and values of a configuration: of a mapping, or the public attributes of an object.

    >>> settings_of({"n_layers": 2}), settings_of(None)
    ({'n_layers': 2}, {})
    """
    if config is None:
        return {}
    if isinstance(config, Mapping):
        return dict(config)
    kind, names = type(config), [name for name in dir(config) if not name.startswith("_")]
    names = [name for name in names if not isinstance(getattr(kind, name, None), property)]
    values = {name: getattr(config, name, None) for name in names}
    return {name: value for name, value in values.items() if not callable(value)}


def parameters_of(target: Callable[..., Any]) -> tuple[list[inspect.Parameter], bool]:
    """Return the named parameters of `target`, and whether it takes any other keyword too."""
    try:
        every = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):  # functions written in C may have no signature
        return [], False
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p for p in every if p.kind not in variable], any(
        p.kind is inspect.Parameter.VAR_KEYWORD for p in every
    )
