"""`gptrace loss`: how well a model predicts a text, token by token and as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import field
from msgspec.structs import force_setattr

from gptrace.record.base import Count, MeasuredNumber, Positive, Record, Report, Versions, about
from gptrace.record.model import ModelInfo
from gptrace.record.prompt_result import Problem, PromptResult, ResultDtype
from gptrace.record.tokens import Ids, PromptText, Token, TokenBytes, TokenText

MeanLoss = Annotated[
    float | None, about("mean of -log_probability, in nats; null where nothing is predicted")
]
Perplexity = Annotated[float | None, about("exp(loss); null where it is NaN or infinite")]


class ScoredToken(Record, frozen=True):
    """A token of a text, and the probability that the model gave it; the first token has none."""

    id: Count
    text: TokenText
    bytes: TokenBytes
    log_probability: Annotated[MeasuredNumber, about("natural; absent for the first token")] = None
    probability: MeasuredNumber = None
    rank: Annotated[Positive | None, about("among all tokens; absent where the probability is NaN")] = None

    @property
    def token(self) -> Token:
        """The token alone."""
        return Token(self.id, self.text, self.bytes)


class LossResult(PromptResult, frozen=True):
    """The loss of one text. `windows` is the number of forward passes that the text took."""

    index: Annotated[Count, about("number of the prompt, from 0")]
    text: PromptText
    ids: Ids
    tokens: Annotated[tuple[ScoredToken, ...], about("its tokens; nothing is predicted for the first one")]
    loss: MeanLoss
    perplexity: Perplexity
    windows: Annotated[Count, about("forward passes; 0 with an error")]
    problem: Annotated[Problem | None, about("why this prompt of a stream has no loss")] = field(
        default=None, name="error"
    )
    extra: dict[str, Any] = field(default_factory=dict)
    dtype: ResultDtype = ""

    def __post_init__(self) -> None:
        is_predicted = any(token.log_probability is not None for token in self.tokens)
        _restore_null(self, is_predicted)


class LossTotal(Record, frozen=True):
    """The loss over all predicted tokens of all texts; each token counts once."""

    tokens: Annotated[Count, about("number of tokens that were scored")]
    loss: MeanLoss
    perplexity: Perplexity

    def __post_init__(self) -> None:
        _restore_null(self, is_predicted=self.tokens > 0)


class Loss(Report, frozen=True, kw_only=True, tag_field="schema", tag="gptrace.loss/1"):
    """The loss of each text, and of all together."""

    versions: Versions
    model: Annotated[ModelInfo, about("the model that scored the texts")]
    results: Annotated[tuple[LossResult, ...], about("the loss of each text")]
    total: Annotated[LossTotal, about("the loss over all texts")]
    uniform: Annotated[
        float | None, about("of a model that gives every token the same probability: ln(vocab_size)")
    ] = field(name="uniform_loss")
    stride: Annotated[
        Positive | None, about("tokens between windows; absent where all texts fit the context")
    ] = None
    notes: Annotated[tuple[str, ...], about("what a reader should know")]


class LossStream(Report, frozen=True, kw_only=True, tag_field="schema", tag="gptrace.loss/1"):
    """A Loss whose results come one by one, as they are made, and can be read once.

    `total` and `stride` are known when all results were read.
    """

    versions: Versions
    model: ModelInfo
    results: Iterator[LossResult]
    total: LossTotal
    uniform: float | None = field(name="uniform_loss")
    stride: Positive | None = None
    notes: tuple[str, ...]

    def whole(self) -> Loss:
        """Wait for all results."""
        results = tuple(self.results)
        return Loss(
            versions=self.versions, model=self.model, results=results, total=self.total,
            uniform=self.uniform, stride=self.stride, notes=self.notes,
        )  # fmt: skip


def _restore_null(result: LossResult | LossTotal, is_predicted: bool) -> None:
    """Turn None that was read from null back into NaN or an infinity, where something was predicted."""
    if result.loss is None and is_predicted:
        force_setattr(result, "loss", math.nan)
    if result.loss is not None and result.perplexity is None:
        force_setattr(result, "perplexity", math.nan if math.isnan(result.loss) else math.inf)
