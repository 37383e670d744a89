"""The runs behind the methods of a Session: each command once, for prompts that are given and for streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from gptrace import record
from gptrace.errors import GptraceError
from gptrace.measures import Measures
from gptrace.model.on_demand import ModelOnDemand
from gptrace.model.selection import Limits
from gptrace.predict import validation
from gptrace.predict.prompt_stream import PromptStream
from gptrace.sharding.request import SpreadRequest
from gptrace.text.gpt2_tokenizer import GPT2, NAME, VOCAB_SIZE, tiktoken_version
from gptrace.text.lines import PromptLines
from gptrace.text.prompt_source import Ids, PromptSource, Text
from gptrace.text.prompts import Prompt
from gptrace.versions import versions_with

if TYPE_CHECKING:
    from gptrace.predict.generate import Listener
    from gptrace.predict.loss import Progress


@dataclass(frozen=True, slots=True)
class GivenPrompts:
    """Prompts that are all known: they are checked before the model is loaded, and one error ends the run."""

    text: Text | None
    ids: Ids | None
    special: bool
    truncate: bool = False


@dataclass(frozen=True, slots=True)
class StreamedPrompts:
    """Prompts without end: each is read when it is needed, and has its error as its result."""

    prompts: Iterable[object] | PromptLines
    special: bool
    truncate: bool = False


Prompts = GivenPrompts | StreamedPrompts


class SessionRuns(ModelOnDemand):
    """What the methods of a Session do once they know where their prompts come from."""

    def _topk(
        self, prompts: Prompts, *, k: int | None, temperature: float, positions: str, tokens: Sequence[str],
        batch_size: int | None,
    ) -> record.TopKStream:  # fmt: skip
        validation.check_positions(positions)
        validation.check_batch_size(batch_size)
        self.check_has_numbers("predict")
        ids_of_tokens = validation.token_ids(tokens, self.tokenizer)
        stream = self._stream(prompts, record.TopKResult, k=k, temperature=temperature)
        loaded = self._load()
        from gptrace.predict.topk import TopKRequest, run_topk

        request = TopKRequest(k, temperature, positions == "all", ids_of_tokens)
        return run_topk(loaded, self.tokenizer, stream(), request, batch_size)

    def _loss(
        self, prompts: Prompts, *, stride: int | None, batch_size: int | None,
        progress: Progress | None = None,
    ) -> record.LossStream:  # fmt: skip
        validation.check_batch_size(batch_size)
        self.check_has_numbers("predict")
        stream = self._stream(prompts, record.LossResult, allow_windows=True)
        context_length = self.limits.context_length
        validation.check_stride(stride)
        if stride is not None and context_length is not None:
            validation.resolve_stride(stride, context_length)
        loaded = self._load()
        from gptrace.predict.loss import run_loss

        return run_loss(
            loaded, self.tokenizer, stream(), context_length=context_length, stride=stride,
            batch_size=batch_size, progress=progress,
        )  # fmt: skip

    def _generate(
        self, prompts: Prompts, *, max_new_tokens: int, temperature: float | None, top_k: int | None,
        top_p: float | None, stop: str | Sequence[str], seed: int | None, cache: bool, trace: bool,
        listener: Listener | None = None,
    ) -> record.GenerationStream:  # fmt: skip
        settings = validation.generation_settings(
            max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, top_p=top_p,
            seed=self.seed if seed is None else seed, stop=stop, cache=cache,
        )  # fmt: skip
        self.check_has_numbers("generate")
        stream = self._stream(prompts, record.GenerationResult, allow_windows=True)
        loaded = self._load()
        from gptrace.predict.generate import run_generate

        return run_generate(
            loaded, self.tokenizer, stream(), settings, context_length=self.limits.context_length,
            trace=trace, listener=listener,
        )  # fmt: skip

    def _lens(self, prompts: Prompts, *, k: int | None, head: str | None) -> record.LensStream:
        self.check_has_numbers("predict")
        stream = self._stream(prompts, record.LensResult, k=k)
        loaded = self._load()
        from gptrace.predict.lens import run_lens

        return run_lens(loaded, self.tokenizer, stream(), k=k, head=head)

    def _spread_trace(
        self, prompts: GivenPrompts, request: SpreadRequest, *, k: int | None, temperature: float,
        measures: Measures,
    ) -> record.Trace:  # fmt: skip
        """Run one batch on one rank of a mesh: on a model of its own, which is loaded and sharded for it."""
        if self._known_limits is not None:  # a wrong prompt is found before torch is imported
            self._prompts(prompts, k=k, temperature=temperature)
        from gptrace.model.interrupts import interrupts_allowed, interrupts_held
        from gptrace.predict.run import run_traced
        from gptrace.sharding.gathering import gathered, with_mesh
        from gptrace.sharding.spread_model import spread_model

        opened = spread_model(self._source(), request, self._name)
        with interrupts_held(), opened as model, interrupts_allowed():
            fitted = self._prompts(prompts, k=k, temperature=temperature, limits=model.limits)
            try:
                trace = run_traced(
                    model, self.tokenizer, fitted, k=k, temperature=temperature, measures=measures
                )
            except GptraceError as error:
                if isinstance(error.trace, record.Trace):
                    error.trace = with_mesh(error.trace, model)
                raise
            trace = with_mesh(trace, model)
            return trace if request.is_simulated else gathered(trace)

    def _tokens(self, stream: PromptStream) -> record.TokensStream:
        results = (
            record.TokenizedPrompt(
                each.index, each.prompt.text, each.prompt.ids, each.prompt.tokens, each.problem, each.extra
            )
            for each in stream.prompts
        )
        tokenizer = self.tokenizer
        if tokenizer is not GPT2:
            return record.TokensStream(versions_with(), tokenizer.description(), tokenizer.size(), results)
        return record.TokensStream(versions_with(tiktoken=tiktoken_version()), NAME, VOCAB_SIZE, results)

    def _views(self, page: record.Page, prompts: GivenPrompts, k: int | None) -> record.Page:
        """Return the page of these prompts with what its views show, measured on the model."""
        from gptrace.predict.page.run import measure_views
        from gptrace.verify.guilty_lines import with_guilty_lines

        loaded, fitted = self._load(), self._prompts(prompts, k=k)
        page = measure_views(page, loaded, self.tokenizer, fitted, k=k, seed=self.seed)
        explanations = with_guilty_lines(page.explanations, loaded, self._own_tokenizer(), self.seed)
        return replace(page, explanations=explanations)

    def _stream(
        self, prompts: Prompts, result: type[record.PromptResult], *, k: int | None = None,
        temperature: float = 1.0, allow_windows: bool = False,
    ) -> Callable[[], PromptStream]:  # fmt: skip
        """Check what is known before the model is loaded; return the function that makes the stream then."""
        given: tuple[Prompt, ...] | None = None
        if isinstance(prompts, GivenPrompts):
            given = self._prompts(prompts, k=k, temperature=temperature, allow_windows=allow_windows)
        else:
            validation.check_temperature(temperature)
            self._check_k(k, self.limits)

        def stream() -> PromptStream:
            if given is not None:
                return PromptStream.of(given)
            assert isinstance(prompts, StreamedPrompts)
            return PromptStream.reading(
                result, prompts.prompts, self.tokenizer, self.limits, special=prompts.special,
                truncate=prompts.truncate, allow_windows=allow_windows,
            )  # fmt: skip

        return stream

    def _prompts(
        self, prompts: GivenPrompts, *, k: int | None = None, temperature: float = 1.0,
        allow_windows: bool = False, limits: Limits | None = None,
    ) -> tuple[Prompt, ...]:  # fmt: skip
        """Check prompts and options against the model's limits: before it is loaded, where they are known.

        `limits` are those of a model that is not the session's own, but loaded from the same source.
        """
        limits = limits or self.limits
        source = PromptSource.from_arguments(prompts.text, prompts.ids, special=prompts.special)
        validation.check_temperature(temperature)
        checked = source.prompts(self.tokenizer)
        self._check_k(k, limits)
        return validation.fit_prompts(
            limits, checked, self.tokenizer, truncate=prompts.truncate, allow_windows=allow_windows
        )

    def _check_k(self, k: int | None, limits: Limits) -> None:
        vocab_size = limits.vocab_size
        if vocab_size is not None:
            validation.resolve_k(k, vocab_size - self.tokenizer.padding_rows(vocab_size))
