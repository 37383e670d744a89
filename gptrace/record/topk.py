"""`gptrace topk`: the most likely next tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import field

from gptrace.record.base import Count, Number, Positive, Record, Report, Versions, about
from gptrace.record.model import ModelInfo
from gptrace.record.prompt_result import Problem, PromptResult, ResultDtype
from gptrace.record.tokens import Ids, Padding, PromptText, Token, TokenBytes, TokenText, Truncated

Temperature = Annotated[float, about("the logits are divided by it before the softmax", gt=0)]


class Candidate(Record, frozen=True):
    """A possible next token; its log-probability is natural."""

    rank: Annotated[Positive, about("1 is the most likely token")]
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

    position: Annotated[Count, about("position of the token that these follow, from 0")]
    candidates: Annotated[tuple[Candidate, ...], about("the most likely tokens after it")]
    chosen: Annotated[tuple[Candidate, ...], about("the tokens asked for with --token")] = ()


class TopKResult(PromptResult, frozen=True):
    """The candidates for the token after one prompt."""

    index: Annotated[Count, about("number of the prompt, from 0")]
    text: PromptText
    ids: Ids
    padding: Padding
    truncated: Truncated
    candidates: Annotated[tuple[Candidate, ...], about("the most likely tokens after the prompt")] = field()
    chosen: Annotated[tuple[Candidate, ...], about("the tokens asked for with --token")] = ()
    positions: Annotated[tuple[PositionPrediction, ...], about("with --positions all")] = ()
    tokens: Annotated[tuple[Token, ...], about("with --positions all: the prompt's tokens")] = ()
    problem: Annotated[Problem | None, about("why this prompt of a stream has no candidates")] = field(
        default=None, name="error"
    )
    extra: dict[str, Any] = field(default_factory=dict)
    dtype: ResultDtype = ""


class TopK(Report, frozen=True, tag_field="schema", tag="gptrace.topk/1"):
    """The next tokens of each prompt."""

    versions: Versions
    model: Annotated[ModelInfo, about("the model that predicted")]
    k: Annotated[Positive, about("number of candidates for each prompt")]
    temperature: Temperature
    results: Annotated[tuple[TopKResult, ...], about("the candidates of each prompt")]
    notes: Annotated[tuple[str, ...], about("what a reader should know")]


class TopKStream(Report, frozen=True, tag_field="schema", tag="gptrace.topk/1"):
    """A TopK whose results come one by one, as they are made, and can be read once."""

    versions: Versions
    model: Annotated[ModelInfo, about("the model that predicts")]
    k: Annotated[Positive, about("number of candidates for each prompt")]
    temperature: Temperature
    results: Annotated[Iterator[TopKResult], about("the candidates of each prompt")]
    notes: Annotated[tuple[str, ...], about("what a reader should know")]

    def whole(self) -> TopK:
        """Wait for all results."""
        results = tuple(self.results)
        return TopK(self.versions, self.model, self.k, self.temperature, results, self.notes)
