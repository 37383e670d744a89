"""What each layer of a model would predict, if it were the last."""

from __future__ import annotations

from dataclasses import dataclass

from gptrace.printable import Printable
from gptrace.record.model import ModelInfo
from gptrace.record.predictions import Candidate
from gptrace.record.tokens import Prompt


@dataclass(frozen=True, slots=True)
class LensCell:
    """A layer at one position: its likeliest token, and the rank of what the whole model predicts there."""

    best: Candidate
    rank_of_prediction: int


@dataclass(frozen=True, slots=True)
class LensLayer:
    """A layer: its candidates after the last token, and a cell for each position.

    `rank_of_prediction` is that of the whole model's prediction after the last token, from 1.
    """

    path: str
    candidates: tuple[Candidate, ...]
    rank_of_prediction: int
    cells: tuple[LensCell, ...]


@dataclass(frozen=True, slots=True)
class LensResult:
    """The layers of one prompt, first to last. The last one's logits are the model's own.

    `difference` is the largest that was found between them, which is float rounding.
    """

    index: int
    prompt: Prompt
    layers: tuple[LensLayer, ...]
    difference: float


@dataclass(frozen=True, slots=True)
class Lens(Printable):
    """What each layer would predict; `through` are the modules that its output goes through for that."""

    versions: dict[str, str]
    model: ModelInfo
    through: tuple[str, ...]
    results: tuple[LensResult, ...]
    notes: tuple[str, ...] = ()
