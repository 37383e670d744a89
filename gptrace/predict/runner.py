"""Any number of prompts → one result for each, in their order, made as the prompts are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Generic, TypeVar

from gptrace.errors import NoLogitsError, NotFiniteError, RunError
from gptrace.predict.batching import BatchBudget, run_in_order
from gptrace.predict.logit_decoder import DeferredLogitDecoder
from gptrace.predict.nonfinite import with_origin
from gptrace.predict.prompt_stream import PromptStream, StreamedPrompt
from gptrace.record import Problem
from gptrace.text.prompts import Prompt

Result = TypeVar("Result")


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
