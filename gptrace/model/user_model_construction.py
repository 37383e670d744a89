"""How to call the user's class or factory: with arguments from the configuration, as its signature asks."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gptrace.errors import ConfigError
from gptrace.model.architecture import SIZE_NAMES
from gptrace.model.config import GPTConfig, check_settings
from gptrace.model.configurations import Settings, overlaid, parameters_of, settings_of
from gptrace.model.nested_settings import NestedSettings

# The keys of the course's GPT_CONFIG_124M: the dict that a class gets where the user gives no configuration.
COURSE_KEYS = (
    "vocab_size", "context_length", "emb_dim", "n_heads", "n_layers", "drop_rate", "qkv_bias",
)  # fmt: skip
CONFIGURATION_NAMES = ("config", "cfg", "conf", "configuration", "args", "hparams", "params", "options")
Parameter = inspect.Parameter
Factory = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Construction:
    """A way to construct a model, again and again.

    build               calls the class or factory, with these keys of the configuration changed
    changed             returns the keys and values of the configuration after such a change
    settings            the keys and values of the configuration
    description         the call in words, for reports
    is_default_config   the user gave no configuration, so the model gets the course's dict
    noting              the configuration that `build` passes, if it is a mapping to which keys were added
    """

    build: Callable[[Settings], object]
    changed: Callable[[Settings], Settings]
    settings: Settings
    description: str
    is_default_config: bool = False
    noting: NotingDict | None = None


class NotingDict(dict[str, Any]):
    """A configuration that notes which of its keys are read; `added` are those that the user added to it."""

    def __init__(self, settings: Settings, added: frozenset[str]) -> None:
        super().__init__(settings)
        self.added = added
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.read.add(str(key))
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, as a dict does."""
        self.read.add(key)
        return super().get(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        """Remove a key and return its value, as a dict does."""
        self.read.add(key)
        return super().pop(key, *default)

    def __iter__(self) -> Iterator[str]:
        self.read |= self.added  # who reads all of them may read these
        return super().__iter__()

    def keys(self) -> Any:
        """Return the keys, as a dict does."""
        self.read |= self.added
        return super().keys()

    def values(self) -> Any:
        """Return the values, as a dict does."""
        self.read |= self.added
        return super().values()

    def items(self) -> Any:
        """Return the keys with their values, as a dict does."""
        self.read |= self.added
        return super().items()

    def copy(self) -> dict[str, Any]:
        """Return a copy, as a dict does."""
        self.read |= self.added
        return dict(super().items())


def plan_construction(target: Factory, name: str, config: object, keys: Settings) -> Construction:
    """Decide how to call a class or factory.

    target   the class or factory; by its signature it gets the whole configuration as one argument, or a
             keyword argument for each key that it has a parameter for, or nothing
    name     its name in messages
    config   the configuration: a mapping, any other object, its class, or None
    keys     keys that replace keys of `config`

    Raises ConfigError for a required parameter without a key, and for a key without a parameter.

    >>> plan_construction(lambda cfg: cfg, "f", None, {"n_layers": 2}).build({"emb_dim": 64})["emb_dim"]
    64
    """
    parameters, takes_any = parameters_of(target)
    required = [p for p in parameters if p.default is Parameter.empty]
    is_given = config is not None or bool(keys)
    holder = _configuration_parameter(parameters, required, settings_of(config) | dict(keys), is_given)
    if holder is not None:
        return _with_configuration(target, name, config, keys, holder, required)
    arguments = _keyword_arguments(name, parameters, takes_any, config, keys)
    missing = [p.name for p in required if p.name not in arguments]
    if missing:
        problem = f"{name}() requires {', '.join(missing)}, and the configuration has no such key"
        raise ConfigError(problem, f"give each with --set {missing[0]}=…, or all with --config")
    settings = {p.name: p.default for p in parameters if p not in required} | arguments
    nested = NestedSettings(lambda changes: {**settings, **changes})

    def build(changes: Settings) -> object:
        keys = arguments.keys() | nested.keys_of(changes)
        changed = settings_of(nested.changed(changes))
        return target(**{key: value for key, value in changed.items() if key in keys})

    description = f"{name}({', '.join(arguments)})"
    return Construction(build, nested.settings_after, nested.settings, description)


def _with_configuration(
    target: Factory, name: str, config: object, keys: Settings, holder: Parameter, required: list[Parameter]
) -> Construction:
    """Plan a call whose parameter `holder` takes the whole configuration, other required ones a key each."""
    base = config if config is not None else _annotated(target, holder.name) or _course_config()
    whole = overlaid(base, keys)
    noting = None
    if isinstance(base, Mapping) and not base.keys() >= keys.keys():
        whole = noting = NotingDict(settings_of(whole), frozenset(keys.keys() - base.keys()))
    others = [p.name for p in required if p is not holder]
    # `base` is changed, and not `whole`: values that its code derives from a size are derived anew.
    nested = NestedSettings(lambda changes: overlaid(base, {**keys, **changes}))

    def build(changes: Settings) -> object:
        changed = nested.changed(changes) if changes else whole
        if holder.kind is Parameter.POSITIONAL_ONLY:
            return target(changed)
        settings = settings_of(nested.changed(changes)) if others else {}
        return target(**{holder.name: changed}, **{other: settings[other] for other in others})

    is_default = config is None and isinstance(whole, Mapping)
    kind = "a plain dict" if isinstance(whole, Mapping) else f"of type {type(whole).__name__}"
    if is_default:
        kind = f"the course's GPT_CONFIG_124M{', changed' if keys else ''}"
    description = f"{name}({holder.name}), {holder.name} being {kind}"
    return Construction(build, nested.settings_after, nested.settings, description, is_default, noting)


def _course_config() -> dict[str, Any]:
    return {key: getattr(GPTConfig, key) for key in COURSE_KEYS}


def _configuration_parameter(
    parameters: list[Parameter], required: list[Parameter], settings: Settings, is_given: bool
) -> Parameter | None:
    """Return the parameter that takes the whole configuration, or None.

    It is a required parameter whose name is no key of a configuration: the only required one, or one called
    config or similar. Without required parameters it may be an optional one called so, provided that a
    configuration was given and has keys without a parameter.
    """
    unknown = [p for p in required if p.name not in {*COURSE_KEYS, *SIZE_NAMES, *settings}]
    if len(unknown) == 1 and (len(required) == 1 or unknown[0].name in CONFIGURATION_NAMES):
        return unknown[0]
    names = {p.name for p in parameters}
    if required or not is_given or names.issuperset(settings):
        return None
    named = [p for p in parameters if p.name in CONFIGURATION_NAMES]
    return named[0] if len(named) == 1 else None


def _annotated(target: Factory, name: str) -> object:
    """Return the class that annotates a parameter if it is a dataclass; a dict would not work there."""
    function: Any = target
    try:
        hints = typing.get_type_hints(function.__init__ if isinstance(target, type) else function)
    except Exception:  # get_type_hints evaluates annotations, which may raise anything
        return None
    annotated = hints.get(name)
    return annotated if isinstance(annotated, type) and dataclasses.is_dataclass(annotated) else None


def _keyword_arguments(
    name: str, parameters: list[Parameter], takes_any: bool, config: object, keys: Settings
) -> dict[str, Any]:
    """Return the arguments of a call by keyword; keys that the user gave must be parameters."""
    names = [p.name for p in parameters]
    settings = settings_of(overlaid(config, {})) if config is not None else {}
    if not takes_any:
        # A mapping was written for this call; an object may have attributes for other code.
        check_settings({**settings, **keys} if isinstance(config, Mapping) else keys, names, name)
    required = {p.name for p in parameters if p.default is Parameter.empty}
    defaults = {key: value for key, value in _course_config().items() if key in required}
    merged = {**defaults, **settings, **keys}
    return {key: value for key, value in merged.items() if takes_any or key in names}
