"""Integers anywhere in a configuration: also in dicts, objects and lists that are values of its keys."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import suppress
from enum import Enum
from itertools import islice
from typing import Any, TypeGuard

from gptrace.model.configurations import Settings, overlaid, settings_of
from gptrace.model.quiet_torch import torch

Path = tuple[Any, ...]  # keys, attributes and numbers of items
_MOST_INTEGERS, _MOST_LEVELS = 1000, 6
_LONGEST_LIST = 256  # a longer one holds data, not sizes
_MOST_IN_ONE = 32  # a value with more integers is a table, such as one of labels, not sizes
_DATA = (
    bool, int, float, str, bytes, type(None), Mapping, list, tuple, set, frozenset, Enum, torch.dtype,
    torch.device,
)  # fmt: skip


class NestedSettings:
    """A configuration that can be made again with any integer changed.

    `make` returns the configuration with some of its own keys changed; what its code derives from them is
    derived anew. An integer inside of a value is called by its own key, or by all keys on the way to it,
    `encoder.n_heads`, where another integer or a key of the configuration itself has that name. Items of a
    list that all have the same value for a key have one setting, since a list of equal layers is one choice.
    What the configuration derives from its own keys is no setting.

    >>> config = {"vocab_size": 99, "model": {"n_heads": 4}, "layers": [{"ratio": 4}, {"ratio": 4}]}
    >>> nested = NestedSettings(lambda changes: config | changes)
    >>> {name: value for name, value in nested.settings.items() if type(value) is int}
    {'vocab_size': 99, 'n_heads': 4, 'ratio': 4}
    >>> nested.changed({"n_heads": 2, "ratio": 3})
    {'vocab_size': 99, 'model': {'n_heads': 2}, 'layers': [{'ratio': 3}, {'ratio': 3}]}
    """

    def __init__(self, make: Callable[[Settings], object]) -> None:
        self._make = make
        config = make({})
        inside = {path: value for path, value in islice(_integers(config), _MOST_INTEGERS) if len(path) > 1}
        for path in [] if isinstance(config, Mapping) else self._derived(config, inside):
            inside.pop(path, None)
        self._paths = _paths_by_name(inside, {str(key) for key in settings_of(config)})
        self.settings = self._settings_of(config)

    def changed(self, changes: Settings) -> object:
        """Return the configuration after these changes, by the names of `settings`."""
        own = {name: value for name, value in changes.items() if name not in self._paths}
        inside = {path: changes[name] for name in changes.keys() - own for path in self._paths[name]}
        config = self._make(own)
        return _with_values(config, inside) if inside else config

    def settings_after(self, changes: Settings) -> dict[str, Any]:
        """Return all settings after these changes."""
        return self._settings_of(self.changed(changes))

    def keys_of(self, changes: Settings) -> set[str]:
        """Return the keys of the configuration itself whose values these changes are in."""
        return {self._paths[name][0][0] if name in self._paths else name for name in changes}

    def _derived(self, config: object, inside: Mapping[Path, int]) -> Iterator[Path]:
        """Yield where integers lie that follow a key of the configuration itself."""
        keys = [key for key, value in settings_of(config).items() if type(value) is int] if inside else []
        for key in keys:
            with suppress(Exception):  # the user's code may refuse this value
                changed = self._make({key: 2 * settings_of(config)[key]})
                yield from [path for path, value in inside.items() if _value_at(changed, path) != value]

    def _settings_of(self, config: object) -> dict[str, Any]:
        inside = {name: _value_at(config, paths[0]) for name, paths in self._paths.items()}
        return settings_of(config) | {name: value for name, value in inside.items() if value is not None}


def _paths_by_name(integers: Mapping[Path, int], own: Set[str]) -> dict[str, list[Path]]:
    """Return where integers inside of a configuration lie, by name; `own` are its keys."""
    groups: defaultdict[Path, list[tuple[Path, int]]] = defaultdict(list)
    for path, value in integers.items():
        groups[_without_numbers(path)].append((path, value))
    settings: dict[Path, list[Path]] = {}
    for group, members in groups.items():
        is_one = len({value for _, value in members}) == 1
        settings |= {group: [p for p, _ in members]} if is_one else {path: [path] for path, _ in members}
    counts = Counter(map(_short_name, settings))
    by_name: dict[str, list[Path]] = {}
    for group, paths in settings.items():
        short, full = _short_name(group), ".".join(map(str, group))
        name = short if counts[short] == 1 and (short not in own or short == full) else full
        if name not in own or name == group[0]:  # a list of equal numbers has the name of its key
            by_name[name] = paths
    return by_name


def _without_numbers(path: Path) -> Path:
    return tuple([key for key in path if type(key) is not int])


def _short_name(path: Path) -> str:
    """Return the last key that is a word, with the numbers after it.

    >>> _short_name(("model", "n_heads")), _short_name(("layers", 0, "widths", 1))
    ('n_heads', 'widths.1')
    """
    last = max([at for at, key in enumerate(path) if not str(key).isdigit()], default=0)
    return ".".join(map(str, path[last:]))


def _integers(value: object, path: Path = ()) -> Iterator[tuple[Path, int]]:
    items = _items(value)
    is_table = bool(path) and sum(type(item) is int for item in items.values()) > _MOST_IN_ONE
    for key, item in items.items():
        if type(item) is int:
            if not is_table:
                yield (*path, key), item
        elif len(path) < _MOST_LEVELS and _is_part(item):
            yield from _integers(item, (*path, key))


def _items(value: object) -> dict[Any, Any]:
    return dict(enumerate(value)) if _is_list(value) else settings_of(value)


def _is_list(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    return isinstance(value, list | tuple) and not hasattr(value, "_replace")


def _is_part(value: object, levels: int = _MOST_LEVELS) -> bool:
    """Tell whether a value is a part of a configuration: an object that holds data, so no module or file."""
    if _is_list(value):
        return len(value) <= _LONGEST_LIST
    if isinstance(value, Mapping | tuple):
        return True
    if callable(value) or isinstance(value, Enum | torch.Tensor) or not hasattr(value, "__dict__"):
        return False
    inside = vars(value).values()
    return levels > 0 and all(isinstance(each, _DATA) or _is_part(each, levels - 1) for each in inside)


def _value_at(config: object, path: Path) -> Any:
    """Return the value at a path; None where a changed configuration has none there."""
    for key in path:
        config = _items(config).get(key)
    return config


def _with_values(config: Any, values: Mapping[Path, Any]) -> Any:
    """Return a copy of a configuration with these values, wherever it has such a path."""
    by_key: defaultdict[Any, dict[Path, Any]] = defaultdict(dict)
    for (key, *inside), value in values.items():
        by_key[key][tuple(inside)] = value
    items = _items(config)
    changes = {
        key: inside[()] if () in inside else _with_values(items[key], inside)
        for key, inside in by_key.items() if key in items
    }  # fmt: skip
    if _is_list(config):
        return type(config)([changes.get(number, item) for number, item in enumerate(config)])
    return overlaid(config, changes)
