"""`gptrace generate`: the continuation of a text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import field

from gptrace.record.base import Count, Positive, Record, Report, Versions, about
from gptrace.record.model import ModelInfo
from gptrace.record.prompt_result import Problem, PromptResult, ResultDtype
from gptrace.record.tokens import Ids, PromptText, Token
from gptrace.record.trace import FlowStep, OpCall, Seconds, Shape

StoppedBy = Literal["max_new_tokens", "end_of_text", "stop", "error"]


class GenerationStep(Record, frozen=True, kw_only=True):
    """The shapes of one step: the main line, and the first attention product where it can be seen."""

    cached: Annotated[
        Count | None, about("tokens whose keys and values the first attention had in its cache")
    ] = None
    flow: Annotated[tuple[FlowStep, ...], about("the shapes on the main line of this step")]
    logits: Annotated[Shape | None, about("shape of the logits that the model returned")] = None
    attention: Annotated[
        OpCall | None, about("the first attention of this step: its queries against all keys")
    ] = None
    token: Annotated[Token, about("the token that this step added")]


class GenerationResult(PromptResult, frozen=True):
    """The continuation of one prompt.

    `text` is the continuation, without the end-of-text token and a stop text; it is None where there is no
    tokenizer. `prompt_text` is what came before.
    """

    index: Annotated[Count, about("number of the prompt, from 0")]
    prompt_text: PromptText = field(name="text")
    prompt_ids: Ids = field(name="ids")
    new_ids: Ids
    text: Annotated[str | None, about("without the end-of-text token and a stop text")] = field(
        name="new_text"
    )
    stopped_by: Annotated[StoppedBy, about("why it ended")]
    tokens: Annotated[tuple[Token, ...], about("the tokens that were added")] = field(name="new_tokens")
    steps: Annotated[tuple[GenerationStep, ...], about("with --trace")] = ()
    problem: Annotated[Problem | None, about("why this prompt of a stream has no continuation")] = field(
        default=None, name="error"
    )
    extra: dict[str, Any] = field(default_factory=dict)
    dtype: ResultDtype = ""


class GenerationSettings(Record, frozen=True):
    """The way each next token is picked, and the bounds of the continuation."""

    max_new_tokens: Annotated[Positive, about("tokens to add at most")]
    temperature: Annotated[float, about("0 is greedy", ge=0)]
    top_k: Annotated[Positive | None, about("sample from so many of the most likely tokens; null: from all")]
    top_p: Annotated[
        float | None,
        about("sample from the fewest tokens whose probabilities reach this sum; null: from all"),
    ]
    seed: Annotated[int, about("seed of the sampling")]
    stop: Annotated[tuple[str, ...], about("texts to end before")]
    cache: Annotated[bool, about("whether keys and values of earlier tokens were kept")]


class Generation(Report, frozen=True, tag_field="schema", tag="gptrace.generate/1"):
    """The continuations of prompts; `seconds` is the time of the steps alone."""

    versions: Versions
    model: Annotated[ModelInfo, about("the model that continued the prompts")]
    settings: Annotated[GenerationSettings, about("how tokens were picked")]
    results: Annotated[tuple[GenerationResult, ...], about("the continuations, one for each prompt")]
    seconds: Annotated[Seconds, about("time of the whole run")]
    notes: Annotated[tuple[str, ...], about("what a reader should know")]


class GenerationStream(Report, frozen=True, tag_field="schema", tag="gptrace.generate/1"):
    """A Generation whose results come one by one, as they are made, and can be read once.

    `seconds` and `notes` are complete when all results were read.
    """

    versions: Versions
    model: Annotated[ModelInfo, about("the model that continues the prompts")]
    settings: Annotated[GenerationSettings, about("how tokens are picked")]
    results: Annotated[Iterator[GenerationResult], about("the continuations, one for each prompt")]
    seconds: Seconds
    notes: Annotated[tuple[str, ...], about("what a reader should know")]

    def whole(self) -> Generation:
        """Wait for all results."""
        results = tuple(self.results)
        return Generation(self.versions, self.model, self.settings, results, self.seconds, self.notes)
