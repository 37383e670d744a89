"""A walk through a model on somebody's own text, each claim of it checked."""

from __future__ import annotations

from dataclasses import dataclass

from gptrace.printable import Printable
from gptrace.record.model import ModelInfo
from gptrace.record.tokens import Prompt


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence, the figures that were measured for it, and whether they bear it out.

    `holds` is None where the claim does not apply to the model.
    """

    text: str
    measured: str
    holds: bool | None


@dataclass(frozen=True, slots=True)
class Topic:
    """The claims about one question."""

    topic: str
    title: str
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Explanation(Printable):
    """The topics, in the order in which they are to be read; `language` is "en" or "zh"."""

    versions: dict[str, str]
    model: ModelInfo
    language: str
    prompt: Prompt
    topics: tuple[Topic, ...]
    notes: tuple[str, ...] = ()
