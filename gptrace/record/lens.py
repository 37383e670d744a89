"""`gptrace lens`: the predictions of each layer, as if it were the last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import field

from gptrace.record.base import Count, MeasuredNumber, Number, Positive, Record, Report, Versions, about
from gptrace.record.model import ModelInfo
from gptrace.record.prompt_result import Problem, PromptResult, ResultDtype
from gptrace.record.tokens import Ids, PromptText, Token
from gptrace.record.topk import Candidate

Rank = Annotated[Positive, about("rank of the whole model's prediction, from 1")]


class LensCell(Record, frozen=True):
    """A layer at one position: its most likely token, and what it makes of the model's prediction there.

    A page has more candidates, so that they can be looked at.
    """

    position: Annotated[Count, about("position of the token, from 0")]
    candidates: Annotated[
        tuple[Candidate, ...], about("the tokens that the layer would predict after it", min_length=1)
    ]
    rank_of_prediction: Rank
    probability_of_prediction: Annotated[
        MeasuredNumber, about("that the layer gives to the whole model's prediction")
    ] = None

    @property
    def best(self) -> Candidate:
        """The most likely token."""
        return self.candidates[0]


class LensLayer(Record, frozen=True):
    """A layer: its candidates after the last token, and a cell for each position."""

    path: Annotated[str, about("path of the block")]
    candidates: Annotated[tuple[Candidate, ...], about("after the last token", min_length=1)]
    rank_of_prediction: Rank
    cells: Annotated[tuple[LensCell, ...], about("what it would predict after each position")] = field(
        name="positions"
    )


class LensResult(PromptResult, frozen=True):
    """The layers of one prompt, first to last."""

    index: Annotated[Count, about("number of the prompt, from 0")]
    text: PromptText
    ids: Ids
    layers: Annotated[tuple[LensLayer, ...], about("empty with an error")]
    difference: Annotated[Number, about("of the last layer's logits and the model's: rounding")]
    tokens: Annotated[tuple[Token, ...], about("the tokens of the prompt")]
    problem: Annotated[Problem | None, about("why this prompt of a stream has no layers")] = field(
        default=None, name="error"
    )
    extra: dict[str, Any] = field(default_factory=dict)
    dtype: ResultDtype = ""


class Lens(Report, frozen=True, tag_field="schema", tag="gptrace.lens/1"):
    """The predictions of each layer."""

    versions: Versions
    model: Annotated[ModelInfo, about("the model that was read")]
    through: Annotated[tuple[str, ...], about("modules that turn each layer's output into logits")]
    results: Annotated[tuple[LensResult, ...], about("the layers of each prompt")]
    notes: Annotated[tuple[str, ...], about("what a reader should know")]


class LensStream(Report, frozen=True, tag_field="schema", tag="gptrace.lens/1"):
    """A Lens whose results come one by one, as they are made, and can be read once."""

    versions: Versions
    model: ModelInfo
    through: tuple[str, ...]
    results: Iterator[LensResult]
    notes: tuple[str, ...]

    def whole(self) -> Lens:
        """Wait for all results."""
        return Lens(self.versions, self.model, self.through, tuple(self.results), self.notes)
