"""The lengths of a text at which a model of transformers changes the frequencies of its rotary positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gptrace.model.quiet_torch import torch


@dataclass(frozen=True, slots=True)
class RopeChanges:
    """Keys that were rotated with other frequencies than the queries no longer hold.

    A text that is longer than one of `switches` has other frequencies than a shorter one. Beyond one of
    `growing`, each further token changes them.
    """

    switches: frozenset[int]
    growing: frozenset[int]

    def differ(self, length: int, longer: int) -> bool:
        """Tell whether the frequencies of a text change when it grows from a length to a longer one."""
        switched = any(length <= each < longer for each in self.switches)
        return switched or any(each < longer for each in self.growing)


def rope_changes(module: torch.nn.Module) -> RopeChanges:
    """Return the changes that the configuration of a model of transformers asks for."""
    switches, growing = set(), set()
    for config in _configs(module.config):
        longest = getattr(config, "max_position_embeddings", None)
        for settings in _rope_settings(config):
            kind = str(settings.get("rope_type", settings.get("type")))
            if kind in ("longrope", "su"):  # "su" is its first name
                own = settings.get("original_max_position_embeddings")
                switches.add(own or getattr(config, "original_max_position_embeddings", None) or longest)
            elif "dynamic" in kind:
                growing.add(longest)
    return RopeChanges(_lengths(switches), _lengths(growing))


def _configs(config: Any) -> Iterator[Any]:
    """Yield a configuration and those inside it, as of the language model of one that sees images too."""
    yield config
    for item in vars(config).values():
        if hasattr(item, "to_dict"):
            yield from _configs(item)


def _rope_settings(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the settings of rotary positions: those of the whole model, or of each kind of layer."""
    for name in ("rope_parameters", "rope_scaling"):
        settings = getattr(config, name, None)
        if isinstance(settings, Mapping):
            yield settings
            yield from (item for item in settings.values() if isinstance(item, Mapping))


def _lengths(values: set[Any]) -> frozenset[int]:
    return frozenset(value for value in values if isinstance(value, int))
