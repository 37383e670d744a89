"""`gptrace topk`: the most likely next tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import field

from gptrace.record.base import Count, Number, Positive, Record, Report, Versions, about
from gptrace.record.model import ModelInfo
from gptrace.record.prompt_result import Problem, PromptResult
from gptrace.record.tokens import Ids, Padding, PromptText, Token, TokenBytes, TokenText, Truncated

Temperature = Annotated[float, about("the logits are divided by it before the softmax", gt=0)]


class Candidate(Record, frozen=True):
    """A possible next token; its log-probability is natural."""

    rank: Positive
    id: Count
    text: TokenText
    bytes: TokenBytes
    logit: Number
    probability: Number
    log_probability: Number

    @property
    def token(self) -> Token:
        """The token alone."""
        return Token(self.id, self.text, self.bytes)


class PositionPrediction(Record, frozen=True):
    """The candidates for the token that follows one position of a prompt."""

    position: Count
    candidates: tuple[Candidate, ...]
    chosen: Annotated[tuple[Candidate, ...], about("the tokens asked for with --token")] = ()


class TopKResult(PromptResult, frozen=True):
    """The candidates for the token after one prompt."""

    index: Count
    text: PromptText
    ids: Ids
    padding: Padding
    truncated: Truncated
    candidates: tuple[Candidate, ...] = field()
    chosen: Annotated[tuple[Candidate, ...], about("the tokens asked for with --token")] = ()
    positions: Annotated[tuple[PositionPrediction, ...], about("with --positions all")] = ()
    tokens: Annotated[tuple[Token, ...], about("with --positions all: the prompt's tokens")] = ()
    problem: Annotated[Problem | None, about("why this prompt of a stream has no candidates")] = field(
        default=None, name="error"
    )
    extra: dict[str, Any] = field(default_factory=dict)


class TopK(Report, frozen=True, tag_field="schema", tag="gptrace.topk/1"):
    """The next tokens of each prompt."""

    versions: Versions
    model: ModelInfo
    k: Positive
    temperature: Temperature
    results: tuple[TopKResult, ...]
    notes: tuple[str, ...]


class TopKStream(Report, frozen=True, tag_field="schema", tag="gptrace.topk/1"):
    """A TopK whose results come one by one, as they are made, and can be read once."""

    versions: Versions
    model: ModelInfo
    k: Positive
    temperature: Temperature
    results: Iterator[TopKResult]
    notes: tuple[str, ...]

    def whole(self) -> TopK:
        """Wait for all results."""
        results = tuple(self.results)
        return TopK(self.versions, self.model, self.k, self.temperature, results, self.notes)
