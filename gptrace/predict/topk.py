"""`gptrace topk`: what follows each prompt, of a few of them or of a stream without end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from gptrace.errors import NoLogitsError, OptionError, RunError, TextError
from gptrace.model.build import LoadedModel
from gptrace.model.selection import Limits
from gptrace.predict.batching import Budget, run_in_order
from gptrace.predict.forward import Forward, LogitRows, every_position, last_position
from gptrace.predict.logit_decoder import DeferredLogitDecoder, LogitDecoder
from gptrace.predict.validation import DEFAULT_K, fit_prompts
from gptrace.record import PositionPrediction, Problem, TopKResult, TopKStream
from gptrace.text.lines import as_lines
from gptrace.text.prompts import Prompt, padded
from gptrace.text.tokenizer import Tokenizer
from gptrace.tracing.model_facts import model_info, versions


@dataclass(frozen=True, slots=True)
class StreamedPrompt:
    """One prompt of many, or the problem that it has; `extra` are the other keys of its JSON line."""

    index: int
    prompt: Prompt
    problem: Problem | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TopKRequest:
    """What to tell of each prompt: how many tokens, at which positions, and which ones by name."""

    k: int | None = None
    temperature: float = 1.0
    every_position: bool = False
    tokens: tuple[int, ...] = ()


def read_prompts(
    prompts: Iterable[object], tokenizer: Tokenizer, limits: Limits, *, special: bool, truncate: bool
) -> Iterator[StreamedPrompt]:
    """Yield a question for each prompt of a stream, checked against what the model takes."""
    for index, line in enumerate(as_lines(prompts)):
        if line.problem is not None:
            yield StreamedPrompt(index, Prompt(None, ()), line.problem)
            continue
        try:
            (prompt,) = fit_prompts(limits, [line.prompt(tokenizer, special=special)], truncate=truncate)
        except TextError as error:
            yield StreamedPrompt(index, Prompt(line.text, ()), Problem(error.message, error.hint), line.extra)
        else:
            yield StreamedPrompt(index, prompt, extra=line.extra)


def run_topk(
    loaded: LoadedModel,
    tokenizer: Tokenizer,
    questions: Iterable[StreamedPrompt],
    asked: TopKRequest,
    batch_size: int | None = None,
    *,
    is_idle: Callable[[], bool] = lambda: False,
    continue_on_error: bool = False,
) -> TopKStream:
    """Return the answers to all questions, in their order; those of a stream are made as they are read.

    The first batch is run at once, so that everything but the results is known. With
    `continue_on_error` a prompt that the model fails at has a problem for a result, and the others go on;
    else it raises.
    """
    answering = _Answering(loaded, tokenizer, asked, continue_on_error)
    results = run_in_order(
        questions,
        lambda question: None if question.problem else len(question.prompt.tokens),
        answering.run,
        _refused,
        Budget.of(loaded.device.type, batch_size),
        may_pad=answering.forward.may_pad,
        is_idle=is_idle,
    )
    first = next(results, None)
    reading = answering.reading
    return TopKStream(
        versions=versions(),
        model=model_info(loaded.module, loaded.name, reading.weights),
        k=reading.made.k if reading.made is not None else asked.k or DEFAULT_K,
        temperature=asked.temperature,
        results=chain([] if first is None else [first], results),
        notes=reading.notes,
    )


def _refused(question: StreamedPrompt) -> TopKResult:
    prompt = question.prompt
    return TopKResult(
        question.index, prompt.text, prompt.ids, prompt.padding, prompt.truncated, (),
        problem=question.problem, extra=question.extra,
    )  # fmt: skip


class _Answering:
    """Runs batches, and reads the answers."""

    def __init__(
        self, loaded: LoadedModel, tokenizer: Tokenizer, asked: TopKRequest, continue_on_error: bool
    ) -> None:
        self.forward = Forward(loaded)
        self.reading = DeferredLogitDecoder(loaded, tokenizer, k=asked.k, temperature=asked.temperature)
        self._asked, self._goes_on = asked, continue_on_error

    def run(self, questions: list[StreamedPrompt]) -> list[TopKResult]:
        """Answer a batch; where the model fails at it, each question for itself."""
        try:
            return self._answered(questions)
        except RunError as error:
            # A model that has never given logits will not give any for other prompts.
            is_hopeless = isinstance(error, NoLogitsError) and self.reading.made is None
            if is_hopeless or not self._goes_on:
                raise
            if len(questions) > 1:
                return [result for question in questions for result in self.run([question])]
            problem = Problem(error.message, error.hint)
            refused = replace(questions[0], prompt=Prompt(questions[0].prompt.text, ()), problem=problem)
            return [_refused(refused)]

    def _answered(self, questions: list[StreamedPrompt]) -> list[TopKResult]:
        prompts = padded([question.prompt for question in questions])
        found: list[list[PositionPrediction]] = [[] for _ in prompts]

        def read(rows: LogitRows) -> None:
            reading = self._checked(self.reading.of(rows.logits, prompts[0]))
            for (number, position), (best, chosen) in zip(
                rows.places, reading.candidates(rows.logits, self._asked.tokens), strict=True
            ):
                found[number].append(PositionPrediction(position, best, chosen))

        wanted = every_position if self._asked.every_position else last_position
        self.forward.read(prompts, [wanted(prompt) for prompt in prompts], read)
        return [
            TopKResult(
                index=question.index,
                text=prompt.text,
                ids=prompt.ids,
                padding=prompt.padding,
                truncated=prompt.truncated,
                candidates=predictions[-1].candidates,
                chosen=predictions[-1].chosen,
                positions=tuple(predictions) if self._asked.every_position else (),
                tokens=prompt.tokens if self._asked.every_position else (),
                extra=question.extra,
            )
            for question, prompt, predictions in zip(
                questions, map(self.reading.shown, prompts), found, strict=True
            )
        ]

    def _checked(self, reading: LogitDecoder) -> LogitDecoder:
        beyond = [one for one in self._asked.tokens if one >= reading.count or not reading.fits]
        if beyond:
            raise OptionError(
                f"token id {beyond[0]} means nothing to the model's {reading.count:,} logits",
                "its vocabulary is another than that of the tokenizer: leave out --token",
            )
        return reading
