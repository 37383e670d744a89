"""Any number of prompts → one result for each, in their order, made as the prompts are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Generic, TypeVar

from gptrace.errors import NoLogitsError, NotFiniteError, RunError, TextError
from gptrace.model.selection import Limits
from gptrace.predict.batching import BatchBudget, run_in_order
from gptrace.predict.logit_decoder import DeferredLogitDecoder
from gptrace.predict.nonfinite import with_origin
from gptrace.predict.validation import fit_prompts
from gptrace.record import Problem, PromptResult
from gptrace.text.lines import PromptLines, as_lines
from gptrace.text.prompts import Prompt
from gptrace.text.tokenizer import Tokenizer

Result = TypeVar("Result")


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
class PromptStream:
    """The prompts of one run.

    `continue_on_error`: a prompt that the model fails at gets a problem as its result; else the error is
    raised. `is_idle` tells that no prompt is waiting to be read.
    """

    prompts: Iterable[StreamedPrompt]
    is_idle: Callable[[], bool] = lambda: False
    continue_on_error: bool = False

    @property
    def known(self) -> list[Prompt] | None:
        """All prompts, where they are known."""
        prompts = self.prompts
        return [streamed.prompt for streamed in prompts] if isinstance(prompts, list) else None

    @classmethod
    def of(cls, prompts: Iterable[Prompt]) -> PromptStream:
        """Return a stream of prompts that are all known, and checked."""
        return cls([StreamedPrompt(index, prompt) for index, prompt in enumerate(prompts)])

    @classmethod
    def reading(
        cls, result: type[PromptResult], prompts: Iterable[object] | PromptLines, tokenizer: Tokenizer,
        limits: Limits, *, special: bool, truncate: bool = False, allow_windows: bool = False,
    ) -> PromptStream:  # fmt: skip
        """Return a stream that reads and checks each prompt when it is needed.

        A prompt of any length is right with `allow_windows`. The other keys of a line are copied into its
        `result`, so they cannot be those of a result.
        """
        reserved = result.own_keys() - {"text", "ids"}

        def checked(index: int, line: Any) -> StreamedPrompt:
            taken = sorted(reserved.intersection(line.extra))
            if taken:
                extra = {key: value for key, value in line.extra.items() if key not in reserved}
                message = f"the prompt has the key {taken[0]!r}, which is reserved for results"
                problem = Problem(message, "rename the key")
                return StreamedPrompt(index, Prompt(line.text, ()), problem, extra, line.size)
            if line.problem is not None:
                return StreamedPrompt(index, Prompt(None, ()), line.problem, line.extra, line.size)
            try:
                prompt = line.prompt(tokenizer, special=special)
                (prompt,) = fit_prompts(limits, [prompt], truncate=truncate, allow_windows=allow_windows)
            except TextError as error:
                problem = Problem(error.message, error.hint)
                return StreamedPrompt(index, Prompt(line.text, ()), problem, line.extra, line.size)
            return StreamedPrompt(index, prompt, None, line.extra, line.size)

        start = prompts.start if isinstance(prompts, PromptLines) else 0
        numbered = enumerate(as_lines(prompts))
        streamed = (checked(index, line) for index, line in numbered if index >= start)
        is_idle = prompts.is_idle if isinstance(prompts, PromptLines) else lambda: False
        return cls(streamed, is_idle, continue_on_error=True)


class Runner(ABC, Generic[Result]):
    """Runs batches of prompts with one model. `bytes_per_token` is about what a result takes."""

    deferred: DeferredLogitDecoder
    bytes_per_token: int

    @abstractmethod
    def run_batch(self, batch: list[StreamedPrompt]) -> list[Result]:
        """Return the result of each prompt."""

    @abstractmethod
    def problem_result(self, streamed: StreamedPrompt) -> Result:
        """Return the result of a prompt that cannot be run."""

    def results(self, stream: PromptStream, budget: BatchBudget, *, may_pad: bool) -> Iterator[Result]:
        """Return the results in order. The first batch runs at once: only its logits tell the vocabulary."""

        def run(batch: list[StreamedPrompt]) -> list[Result]:
            return self._run(batch, stream.continue_on_error)

        results = run_in_order(
            stream.prompts,
            lambda streamed: None if streamed.problem else streamed.prompt.ids,
            run,
            self.problem_result,
            budget,
            may_pad=may_pad,
            is_idle=stream.is_idle,
            size=lambda streamed: streamed.size(self.bytes_per_token),
        )
        first = next(results, None)
        return chain([] if first is None else [first], results)

    def _with_origin(self, error: RunError, batch: list[StreamedPrompt]) -> RunError:
        """Return the error; with the origin of the NaN, if it is about some."""
        if not isinstance(error, NotFiniteError):
            return error
        return with_origin(error, self.deferred.loaded, [streamed.prompt.ids for streamed in batch])

    def _run(self, batch: list[StreamedPrompt], continue_on_error: bool) -> list[Result]:
        """Run a batch; where the model fails at it, run each of its prompts alone."""
        try:
            return self.run_batch(batch)
        except RunError as error:
            # A model that has never returned logits will not return any for other prompts.
            is_hopeless = isinstance(error, NoLogitsError) and self.deferred.decoder is None
            if is_hopeless or not continue_on_error:
                raise self._with_origin(error, batch) from error.__cause__
            if len(batch) > 1:
                return [result for streamed in batch for result in self._run([streamed], continue_on_error)]
            error = self._with_origin(error, batch)
            problem = Problem(error.message, error.hint)
            without_tokens = replace(batch[0], prompt=Prompt(batch[0].prompt.text, ()), problem=problem)
            return [self.problem_result(without_tokens)]
