"""How somebody's own class or factory is called: by its signature, with what the configuration has."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gptrace.errors import ConfigError
from gptrace.model.architecture import SIZE_NAMES
from gptrace.model.config import GPTConfig
from gptrace.wording import quoted_value, suggestion

# What courses call GPT_CONFIG_124M: the plain dict that a class gets when nobody says otherwise.
COURSE_KEYS = (
    "vocab_size", "context_length", "emb_dim", "n_heads", "n_layers", "drop_rate", "qkv_bias",
)  # fmt: skip
_CONFIGURATION_NAMES = ("config", "cfg", "conf", "configuration", "args", "hparams", "params", "options")
Parameter = inspect.Parameter


@dataclass(frozen=True, slots=True)
class Call:
    """A call that can be made again with some settings changed; `how` says it in words.

    `settings` are those of the configuration it is made with; `is_plain`: a dict that nobody gave.
    """

    make: Callable[[Mapping[str, Any]], object]
    settings: Mapping[str, Any]
    how: str
    is_plain: bool = False


def plan(target: Callable[..., Any], name: str, config: object, keys: Mapping[str, Any]) -> Call:
    """Decide how to call `target` with `config` (an object, a mapping, None) and `keys` on top of it.

    No arguments where none are asked for and none are given; one configuration argument; or keyword
    arguments that the configuration names. Raises ConfigError where neither fits.

    >>> plan(lambda cfg: cfg, "f", None, {"n_layers": 2}).make({"emb_dim": 64})["emb_dim"]
    64
    """
    parameters, takes_any = _parameters(target)
    required = [p for p in parameters if p.default is Parameter.empty]
    is_given = config is not None or bool(keys)
    holder = _configuration_parameter(parameters, required, settings_of(config) | dict(keys), is_given)
    if holder is not None:
        base = config if config is not None else _annotated(target, holder.name) or _course_config()
        whole = overlaid(base, keys)
        beside = [p.name for p in required if p is not holder]

        def with_configuration(changes: Mapping[str, Any]) -> object:
            # From the start, where there is one: what is derived from a size follows it.
            made = overlaid(base, {**keys, **changes}) if changes else whole
            if holder.kind is Parameter.POSITIONAL_ONLY:
                return target(made)
            settings = settings_of(made)
            return target(**{holder.name: made}, **{name: settings[name] for name in beside})

        is_plain = config is None and isinstance(whole, Mapping)
        kind = "a plain dict" if isinstance(whole, Mapping) else f"a {type(whole).__name__}"
        if is_plain:
            kind = "the course's GPT_CONFIG_124M" + (", changed" if keys else "")
        how = f"{name}({holder.name}), {holder.name} being {kind}"
        return Call(with_configuration, settings_of(whole), how, is_plain)
    arguments = _keyword_arguments(name, parameters, takes_any, config, keys)
    missing = [p.name for p in required if p.name not in arguments]
    if missing:
        raise ConfigError(
            f"{name}() asks for {', '.join(missing)}, which nothing gives",
            f"give each with --set {missing[0]}=…, or all with --config",
        )
    defaults = {p.name: p.default for p in parameters if p.default is not Parameter.empty}
    how = f"{name}({', '.join(arguments)})"
    return Call(lambda changes: target(**(arguments | dict(changes))), defaults | arguments, how)


def overlaid(config: object, changes: Mapping[str, Any]) -> object:
    """Return a configuration with some of its keys changed; the one that is given stays as it is.

    A class or a function is called first, so that `--config model.py:GPTConfig` is its default one.
    """
    if isinstance(config, Mapping):
        return {**config, **changes}
    if callable(config):
        if dataclasses.is_dataclass(config):
            _check_keys(changes, [field.name for field in dataclasses.fields(config)], config)
            return config(**changes)
        # What it derives from a size, it derives while it is made.
        parameters, takes_any = _parameters(config)
        if changes and (takes_any or {p.name for p in parameters}.issuperset(changes)):
            return config(**changes)
        return overlaid(config(), changes)
    if not changes:
        return config
    _check_keys(changes, settings_of(config), config)
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        given = {field.name for field in dataclasses.fields(config) if field.init}
        if given.issuperset(changes):
            return dataclasses.replace(config, **changes)
    if isinstance(config, tuple) and hasattr(config, "_replace"):
        return config._replace(**changes)
    try:
        changed = copy.deepcopy(config)
    except Exception:  # something in it cannot be copied
        changed = copy.copy(config)
    for key, value in changes.items():
        object.__setattr__(changed, key, value)  # a frozen dataclass too
    return changed


def settings_of(config: object) -> dict[str, Any]:
    """Return the keys and values of a configuration, whatever it is."""
    if config is None:
        return {}
    if isinstance(config, Mapping):
        return dict(config)
    kind = type(config)
    names = [
        name
        for name in dir(config)
        if not name.startswith("_") and not isinstance(getattr(kind, name, None), property)
    ]
    found = {name: getattr(config, name, None) for name in names}
    return {name: value for name, value in found.items() if not callable(value)}


def _course_config() -> dict[str, Any]:
    whole = GPTConfig().to_dict()
    return {key: whole[key] for key in COURSE_KEYS}


def _parameters(target: Callable[..., Any]) -> tuple[list[Parameter], bool]:
    try:
        found = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):  # some of C's tell nothing
        return [], False
    variable = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    return [p for p in found if p.kind not in variable], any(p.kind is Parameter.VAR_KEYWORD for p in found)


def _configuration_parameter(
    parameters: list[Parameter], required: list[Parameter], settings: Mapping[str, Any], is_given: bool
) -> Parameter | None:
    """Return the parameter that takes a whole configuration, if the signature has one.

    It is the only one that asks for something and is no size, or one that is called config or the like.
    """
    unknown = [p for p in required if p.name not in {*COURSE_KEYS, *SIZE_NAMES, *settings}]
    if len(unknown) == 1 and (len(required) == 1 or unknown[0].name in _CONFIGURATION_NAMES):
        return unknown[0]
    names = {p.name for p in parameters}
    if required or not is_given or names.issuperset(settings):
        return None
    named = [p for p in parameters if p.name in _CONFIGURATION_NAMES]
    return named[0] if len(named) == 1 else None


def _annotated(target: Callable[..., Any], name: str) -> object:
    """Return the class that a parameter is annotated with, where it is a dataclass: a dict would not do."""
    try:
        called: Any = target
        hints = typing.get_type_hints(called.__init__ if isinstance(target, type) else called)
    except Exception:  # an annotation may say anything
        return None
    annotated = hints.get(name)
    return annotated if isinstance(annotated, type) and dataclasses.is_dataclass(annotated) else None


def _keyword_arguments(
    name: str, parameters: list[Parameter], takes_any: bool, config: object, keys: Mapping[str, Any]
) -> dict[str, Any]:
    names = [p.name for p in parameters]
    given = settings_of(overlaid(config, {})) if config is not None else {}
    if not takes_any:
        # A configuration object may have more to it; what was written out by hand is all meant.
        _check_keys(keys if not isinstance(config, Mapping) else {**given, **keys}, names, name)
    wanted = {p.name for p in parameters if p.default is Parameter.empty}
    usual = {key: value for key, value in _course_config().items() if key in wanted}
    merged = {**usual, **given, **keys}
    return {key: value for key, value in merged.items() if takes_any or key in names}


def _check_keys(changes: Iterable[str], known: Iterable[str], owner: object) -> None:
    known = list(known)
    for key in changes:
        if key not in known:
            who = owner if isinstance(owner, str) else getattr(owner, "__name__", type(owner).__name__)
            hint = suggestion(str(key), known) if known else "drop it"
            raise ConfigError(f"{who} has no setting {quoted_value(key)}", hint)
