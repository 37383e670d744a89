"""How a model caches keys and values: found by the arguments of its forward, and run step by step."""

from __future__ import annotations

import copy
import inspect
import sys
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from gptrace.model.cache import add_caches
from gptrace.model.gpt import GPTModel
from gptrace.model.hugging_face import is_hugging_face
from gptrace.model.quiet_torch import torch
from gptrace.verify.check.subject import Subject

Tensor = torch.Tensor
Module = torch.nn.Module
PAST_NAMES = ("past_key_values", "past", "past_kv", "kv_cache", "kv_caches", "caches", "layer_past", "cache")
_RESET_NAMES = ("reset_kv_cache", "reset_cache", "clear_cache", "clear_kv_cache", "reset")
_POSITION_NAMES = ("start_pos", "start_position", "position_offset", "past_length", "offset")
_LAYER_NAMES = ("n_layers", "n_layer", "num_hidden_layers", "num_layers", "depth")


@dataclass(eq=False)
class Caching:
    """A way to run a model with its cache: `begin` empties it, `step` runs the next tokens (1, T).

    `how` says how the cache is used, in the words of code.
    """

    module: Module
    how: str
    past_name: str = ""
    flags: dict[str, Any] = field(default_factory=dict)
    make: Any = None
    # The argument that takes the number of cached tokens, and how it is written.
    position_name: str = ""
    as_position: Any = int
    _past: Any = None
    _position: int = 0

    def begin(self) -> None:
        """Empty the cache."""
        self._past = self.make() if self.make is not None else None
        self._position = 0
        method = self.reset_method()
        if method is not None:
            method(**_batch_of_one(method))

    def reset_method(self) -> Any:
        """Return the method of the model that empties its cache, or None."""
        methods = (getattr(self.module, name, None) for name in _RESET_NAMES)
        return next((method for method in methods if callable(method)), None)

    def step(self, ids: Tensor) -> Any:
        """Run the next tokens, and keep the cache that comes back."""
        arguments = dict(self.flags)
        if self.past_name == "input_pos":
            arguments["input_pos"] = torch.arange(self._position, self._position + ids.shape[1])
        elif self.past_name:
            arguments[self.past_name] = self._past
        if self.position_name:
            arguments[self.position_name] = self.as_position(self._position)
        output = self.module(ids, **arguments)
        if self.past_name and self.make is None:
            self._past = past_of(output, self.past_name)
        self._position += ids.shape[1]
        return output


class _FilledCaching(Caching):
    """A cache of fixed size, made by setup_caches and filled at `input_pos`, as in gpt-fast."""

    def begin(self) -> None:
        self._position = 0
        setup: Any = self.module.setup_caches
        setup(1, self.make)
        first = next(self.module.parameters(), None)
        if first is not None:
            self.module.to(dtype=first.dtype)  # the caches are new, and of torch's default dtype


class _OwnCaching(Caching):
    """The cache of gptrace's own GPTModel, which is added to a copy for each run."""

    def begin(self) -> None:
        self.module = copy.deepcopy(self.make)
        add_caches(self.module, capacity=64)  # type: ignore[arg-type]


def find_caching(subject: Subject) -> Caching | None:
    """Return how a model caches, or None where no way is known."""
    module, names = subject.module, subject.parameters_of_forward
    if type(module) is GPTModel:
        return _OwnCaching(module, "gptrace's own cache", make=module)
    if "input_pos" in names and callable(getattr(module, "setup_caches", None)):
        return _FilledCaching(module, "input_pos=…", "input_pos", make=subject.context or 64)
    past = next((name for name in PAST_NAMES if name in names), "")
    flags = {"use_cache": True} if "use_cache" in names else {}
    if is_hugging_face(module):
        return Caching(module, f"{past}=…, use_cache=True", past, flags) if past and flags else None
    if not past:
        return Caching(module, "use_cache=True", "", flags) if flags else None
    made = _cache_class(subject)
    if made is not None:
        caching = Caching(module, f"{past}={type(made()).__name__}(…)", past, flags, make=made)
        return _with_positions(subject, caching)
    with subject.running():
        try:
            output = module(torch.zeros(1, 1, dtype=torch.int64), **flags)
        except Exception:
            return None
    return Caching(module, f"{past}=…", past, flags) if past_of(output, past) is not None else None


def _with_positions(subject: Subject, caching: Caching) -> Caching:
    """Return a way to cache that gives the number of cached tokens, too, if forward takes it."""
    name = next((name for name in _POSITION_NAMES if name in subject.parameters_of_forward), "")
    if not name:
        return caching
    for written in (int, lambda position: torch.tensor([position])):
        tried = replace(caching, position_name=name, as_position=written)
        with subject.running(caching.module), suppress(Exception):
            tried.begin()
            tried.step(torch.zeros(1, 1, dtype=torch.int64))
            return tried
    return caching


def _batch_of_one(function: Any) -> dict[str, int]:
    """Return the size of a batch as an argument, for a function that takes it."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}
    return dict.fromkeys(parameters.keys() & {"batch_size"}, 1)


def past_of(output: Any, name: str) -> Any:
    """Return the cache in what forward returned: the field of that name, or what stands beside the logits."""
    for field_name in (name, "past_key_values", "cache"):
        value = output.get(field_name) if isinstance(output, dict) else getattr(output, field_name, None)
        if value is not None and not isinstance(output, torch.Tensor):
            return value
    if isinstance(output, tuple | list):
        others = [item for item in output if not isinstance(item, torch.Tensor) and item is not None]
        return others[-1] if others else None
    return None


def _cache_class(subject: Subject) -> Any:
    """Return a function that makes an empty cache by a class of the model's file called like one, or None."""
    home = vars(sys.modules.get(type(subject.module).__module__, object))
    layers = next((subject.settings[name] for name in _LAYER_NAMES if name in subject.settings), None)
    for name, value in home.items():
        if isinstance(value, type) and name.lower().endswith("cache") and not issubclass(value, Module):
            try:
                parameters = inspect.signature(value).parameters.values()
            except (TypeError, ValueError):
                continue
            arguments = {p.name: layers for p in parameters if p.name in (*_LAYER_NAMES, "layers")}
            arguments |= _batch_of_one(value)
            required = [p.name for p in parameters if p.default is p.empty]
            if set(required) <= set(arguments) and None not in arguments.values():
                return lambda value=value, arguments=arguments: value(**arguments)
    return None
