"""`gptrace generate`: the continuation of a text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import field

from gptrace.record.base import Count, Positive, Record, Report, Versions, about
from gptrace.record.model import ModelInfo
from gptrace.record.prompt_result import Problem, PromptResult
from gptrace.record.tokens import Ids, PromptText, Token
from gptrace.record.trace import FlowStep, OpCall, Seconds, Shape

StoppedBy = Literal["max_new_tokens", "end_of_text", "stop", "error"]


class GenerationStep(Record, frozen=True, kw_only=True):
    """The shapes of one step: the main line, and the first attention product where it can be seen."""

    cached: Annotated[Count | None, about("tokens whose keys and values were in the cache")] = None
    flow: tuple[FlowStep, ...]
    logits: Annotated[Shape | None, about("shape of the logits that the model returned")] = None
    attention: OpCall | None = None
    token: Token


class GenerationResult(PromptResult, frozen=True):
    """The continuation of one prompt.

    `text` is the continuation, without the end-of-text token and a stop text; it is None where there is no
    tokenizer. `prompt_text` is what came before.
    """

    index: Count
    prompt_text: PromptText = field(name="text")
    prompt_ids: Ids = field(name="ids")
    new_ids: Ids
    text: Annotated[str | None, about("without the end-of-text token and a stop text")] = field(
        name="new_text"
    )
    stopped_by: StoppedBy
    tokens: tuple[Token, ...] = field(name="new_tokens")
    steps: Annotated[tuple[GenerationStep, ...], about("with --trace")] = ()
    problem: Annotated[Problem | None, about("why this prompt of a stream has no continuation")] = field(
        default=None, name="error"
    )
    extra: dict[str, Any] = field(default_factory=dict)


class GenerationSettings(Record, frozen=True):
    """The way each next token is picked, and the bounds of the continuation."""

    max_new_tokens: Positive
    temperature: Annotated[float, about("0 is greedy", ge=0)]
    top_k: Positive | None
    top_p: float | None
    seed: int
    stop: tuple[str, ...]
    cache: bool


class Generation(Report, frozen=True, tag_field="schema", tag="gptrace.generate/1"):
    """The continuations of prompts; `seconds` is the time of the steps alone."""

    versions: Versions
    model: ModelInfo
    settings: GenerationSettings
    results: tuple[GenerationResult, ...]
    seconds: Seconds
    notes: tuple[str, ...]


class GenerationStream(Report, frozen=True, tag_field="schema", tag="gptrace.generate/1"):
    """A Generation whose results come one by one, as they are made, and can be read once.

    `seconds` and `notes` are complete when all results were read.
    """

    versions: Versions
    model: ModelInfo
    settings: GenerationSettings
    results: Iterator[GenerationResult]
    seconds: Seconds
    notes: tuple[str, ...]

    def whole(self) -> Generation:
        """Wait for all results."""
        results = tuple(self.results)
        return Generation(self.versions, self.model, self.settings, results, self.seconds, self.notes)
