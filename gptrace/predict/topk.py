"""`gptrace topk`: the next tokens of each prompt, of a few prompts or of a stream without end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from gptrace.errors import NoLogitsError, OptionError, RunError, TextError
from gptrace.model.build import LoadedModel
from gptrace.model.selection import Limits
from gptrace.predict.batching import BatchBudget, run_in_order
from gptrace.predict.forward import Forward, LogitRows, every_position, last_position
from gptrace.predict.logit_decoder import DeferredLogitDecoder, LogitDecoder
from gptrace.predict.validation import DEFAULT_K, fit_prompts
from gptrace.record import PositionPrediction, Problem, TopKResult, TopKStream
from gptrace.text.lines import as_lines
from gptrace.text.prompts import Prompt, padded
from gptrace.text.tokenizer import Tokenizer
from gptrace.tracing.model_facts import model_info, versions

_BYTES_PER_TOKEN = 16  # a pointer to the token, and its id
_BYTES_PER_CANDIDATE = 256


@dataclass(frozen=True, slots=True)
class StreamedPrompt:
    """One prompt of many, or the problem that it has; `extra` are the other keys of its JSON line.

    `line_size` is the length of its line in bytes.
    """

    index: int
    prompt: Prompt
    problem: Problem | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    line_size: int = 0

    def size(self, bytes_per_token: int) -> int:
        """Return about how many bytes it takes to hold it and its result."""
        text = self.line_size or len(self.prompt.text or "")
        return text + bytes_per_token * len(self.prompt.tokens)


@dataclass(frozen=True, slots=True)
class TopKRequest:
    """How many next tokens to return, at which positions, and the ids whose rank and probability to add."""

    k: int | None = None
    temperature: float = 1.0
    every_position: bool = False
    token_ids: tuple[int, ...] = ()


def read_prompts(
    prompts: Iterable[object], tokenizer: Tokenizer, limits: Limits, *, special: bool, truncate: bool
) -> Iterator[StreamedPrompt]:
    """Yield each prompt of a stream, checked against the model's limits."""
    for index, line in enumerate(as_lines(prompts)):
        if line.problem is not None:
            yield StreamedPrompt(index, Prompt(None, ()), line.problem, line_size=line.size)
            continue
        try:
            (prompt,) = fit_prompts(limits, [line.prompt(tokenizer, special=special)], truncate=truncate)
        except TextError as error:
            problem = Problem(error.message, error.hint)
            yield StreamedPrompt(index, Prompt(line.text, ()), problem, line.extra, line.size)
        else:
            yield StreamedPrompt(index, prompt, None, line.extra, line.size)


def run_topk(
    loaded: LoadedModel,
    tokenizer: Tokenizer,
    prompts: Iterable[StreamedPrompt],
    request: TopKRequest,
    batch_size: int | None = None,
    *,
    is_idle: Callable[[], bool] = lambda: False,
    continue_on_error: bool = False,
) -> TopKStream:
    """Return the results of all prompts, in their order; those of a stream are made as they are read.

    The first batch runs at once, because only its logits tell the size of the vocabulary. With
    `continue_on_error` a prompt that the model fails at gets a problem as its result; without, it raises.
    `is_idle` tells that no prompt is waiting to be read: then a batch that is not full runs.
    """
    runner = _TopKRunner(loaded, tokenizer, request, continue_on_error)
    results = run_in_order(
        prompts,
        lambda streamed: None if streamed.problem else len(streamed.prompt.tokens),
        runner.run,
        _problem_result,
        BatchBudget.for_device(loaded.device.type, batch_size),
        may_pad=runner.forward.may_pad,
        is_idle=is_idle,
        size=lambda streamed: streamed.size(
            _BYTES_PER_CANDIDATE * (request.k or DEFAULT_K) if request.every_position else _BYTES_PER_TOKEN
        ),
    )
    first = next(results, None)
    decoder = runner.deferred.decoder
    return TopKStream(
        versions=versions(),
        model=model_info(loaded.module, loaded.name, runner.deferred.weights),
        k=decoder.k if decoder is not None else request.k or DEFAULT_K,
        temperature=request.temperature,
        results=chain([] if first is None else [first], results),
        notes=runner.deferred.notes,
    )


def _problem_result(streamed: StreamedPrompt) -> TopKResult:
    prompt = streamed.prompt
    return TopKResult(
        streamed.index, prompt.text, prompt.ids, prompt.padding, prompt.truncated, (),
        problem=streamed.problem, extra=streamed.extra,
    )  # fmt: skip


class _TopKRunner:
    """Runs batches of prompts and decodes their logits."""

    def __init__(
        self, loaded: LoadedModel, tokenizer: Tokenizer, request: TopKRequest, continue_on_error: bool
    ) -> None:
        self.forward = Forward(loaded)
        self.deferred = DeferredLogitDecoder(loaded, tokenizer, k=request.k, temperature=request.temperature)
        self._request, self._continue_on_error = request, continue_on_error

    def run(self, batch: list[StreamedPrompt]) -> list[TopKResult]:
        """Run a batch; where the model fails at it, run each of its prompts alone."""
        try:
            return self._run_batch(batch)
        except RunError as error:
            # A model that has never returned logits will not return any for other prompts.
            is_hopeless = isinstance(error, NoLogitsError) and self.deferred.decoder is None
            if is_hopeless or not self._continue_on_error:
                raise
            if len(batch) > 1:
                return [result for streamed in batch for result in self.run([streamed])]
            problem = Problem(error.message, error.hint)
            without_tokens = replace(batch[0], prompt=Prompt(batch[0].prompt.text, ()), problem=problem)
            return [_problem_result(without_tokens)]

    def _run_batch(self, batch: list[StreamedPrompt]) -> list[TopKResult]:
        prompts = padded([streamed.prompt for streamed in batch])
        predictions: list[list[PositionPrediction]] = [[] for _ in prompts]

        def read(rows: LogitRows) -> None:
            decoder = self._checked(self.deferred.decoder_for(rows.logits, prompts[0]))
            for (number, position), (best, chosen) in zip(
                rows.places, decoder.candidates(rows.logits, self._request.token_ids), strict=True
            ):
                predictions[number].append(PositionPrediction(position, best, chosen))

        positions = every_position if self._request.every_position else last_position
        self.forward.read(prompts, [positions(prompt) for prompt in prompts], read)
        displayable = map(self.deferred.displayable, prompts)
        return list(map(self._result, batch, displayable, predictions))

    def _result(
        self, streamed: StreamedPrompt, prompt: Prompt, predictions: Sequence[PositionPrediction]
    ) -> TopKResult:
        every = self._request.every_position
        return TopKResult(
            streamed.index, prompt.text, prompt.ids, prompt.padding, prompt.truncated,
            predictions[-1].candidates, chosen=predictions[-1].chosen,
            positions=tuple(predictions) if every else (), tokens=prompt.tokens if every else (),
            extra=streamed.extra,
        )  # fmt: skip

    def _checked(self, decoder: LogitDecoder) -> LogitDecoder:
        """Raise an OptionError for ids that the model has no logit for."""
        for token_id in self._request.token_ids:
            if token_id >= decoder.token_count or not decoder.fits_tokenizer:
                raise OptionError(
                    f"token id {token_id} means nothing to the model's {decoder.token_count:,} logits",
                    "its vocabulary is not that of the tokenizer: leave out --token",
                )
        return decoder
