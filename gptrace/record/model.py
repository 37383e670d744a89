"""What a report says of a model: which one ran, and those that have a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gptrace.printable import Printable


@dataclass(frozen=True, slots=True)
class ParameterTotals:
    """A model's parameters. `total` counts a tensor once for each name, `unique` once; bytes are of `unique`.

    `tied` lists the names that share one tensor; `without_out_head` is `unique` less the output head's own.
    """

    total: int
    unique: int
    trainable: int
    bytes: int
    tied: tuple[tuple[str, ...], ...] = ()
    without_out_head: int | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model ran: its name for people, its class, and where its weights came from."""

    name: str
    class_name: str
    parameters: ParameterTotals
    buffer_bytes: int
    dtype: str
    device: str
    config: dict[str, Any] | None = None
    weights: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Preset:
    """A model that can be named: its configuration and its size in float32.

    `pretrained` tells whether its published weights are at hand; None where there are none.
    """

    name: str
    aliases: tuple[str, ...]
    config: dict[str, Any]
    parameters: int
    without_out_head: int
    bytes: int
    pretrained: bool | None = None


@dataclass(frozen=True, slots=True)
class Presets(Printable):
    """The models that `--model` knows by name."""

    versions: dict[str, str]
    models: tuple[Preset, ...]
