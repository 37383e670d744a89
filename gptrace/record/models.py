"""`gptrace models`: the models that `--model` knows by name."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from gptrace.record.base import Count, Record, Report, Versions, about


class PresetParameters(Record, frozen=True):
    """The number of parameters, with and without the output head."""

    total: Count
    without_out_head: Count


class PublishedWeights(Record, frozen=True):
    """Published weights of a model."""

    at_hand: Annotated[bool, about("whether they are in the local cache, or in the package")]
    in_package: Annotated[bool, about("whether they come with gptrace")] = False


class Preset(Record, frozen=True):
    """A model that has a name: its configuration and its size."""

    name: str
    aliases: tuple[str, ...]
    config: dict[str, Any]
    parameters: PresetParameters
    bytes: Annotated[Count, about("of the parameters in float32")]
    pretrained: Annotated[PublishedWeights | None, about("absent where none are published")] = None


class Presets(Report, frozen=True, tag_field="schema", tag="gptrace.models/1"):
    """The models that `--model` knows by name."""

    items: ClassVar[str] = "models"

    versions: Versions
    models: tuple[Preset, ...]
