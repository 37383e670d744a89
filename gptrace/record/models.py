"""`gptrace models`: the models that `--model` knows by name."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from gptrace.record.base import Count, Record, Report, Versions, about


class PresetParameters(Record, frozen=True):
    """The number of parameters, with and without the output head."""

    total: Annotated[Count, about("all parameters")]
    without_out_head: Annotated[Count, about("all but those that only the output head has")]


class PublishedWeights(Record, frozen=True):
    """Published weights of a model."""

    at_hand: Annotated[bool, about("whether they are in the local cache, or in the package")]
    in_package: Annotated[bool, about("whether they come with gptrace")] = False


class Preset(Record, frozen=True):
    """A model that has a name: its configuration and its size."""

    name: Annotated[str, about("what --model takes")]
    aliases: Annotated[tuple[str, ...], about("other names for it")]
    config: Annotated[dict[str, Any], about("its configuration keys")]
    parameters: Annotated[PresetParameters, about("how many numbers it has")]
    bytes: Annotated[Count, about("of the parameters in float32")]
    pretrained: Annotated[PublishedWeights | None, about("absent where none are published")] = None


class Presets(Report, frozen=True, tag_field="schema", tag="gptrace.models/1"):
    """The models that `--model` knows by name."""

    items: ClassVar[str] = "models"

    versions: Versions
    models: Annotated[tuple[Preset, ...], about("the presets")]
