"""`gptrace topk`: the next tokens of each prompt, of a few prompts or of a stream without end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gptrace.errors import OptionError
from gptrace.model.build import LoadedModel
from gptrace.predict.batching import BatchBudget
from gptrace.predict.forward import Forward, LogitRows, every_position, last_position
from gptrace.predict.logit_decoder import DeferredLogitDecoder, LogitDecoder
from gptrace.predict.prompt_stream import PromptStream, StreamedPrompt
from gptrace.predict.runner import Runner
from gptrace.predict.validation import DEFAULT_K
from gptrace.record import PositionPrediction, TopKResult, TopKStream
from gptrace.text.prompts import Prompt, padded
from gptrace.text.tokenizer import Tokenizer
from gptrace.tracing.model_facts import model_info, versions

_BYTES_PER_TOKEN = 16  # a pointer to the token, and its id
_BYTES_PER_CANDIDATE = 256


@dataclass(frozen=True, slots=True)
class TopKRequest:
    """How many next tokens to return, at which positions, and the ids whose rank and probability to add."""

    k: int | None = None
    temperature: float = 1.0
    every_position: bool = False
    token_ids: tuple[int, ...] = ()


def run_topk(
    loaded: LoadedModel,
    tokenizer: Tokenizer,
    prompts: PromptStream,
    request: TopKRequest,
    batch_size: int | None = None,
) -> TopKStream:
    """Return the results of all prompts, in their order; those of a stream are made as they are read."""
    runner = _TopKRunner(loaded, tokenizer, request)
    budget = BatchBudget.for_device(loaded.device.type, batch_size)
    results = runner.results(prompts, budget, may_pad=runner.forward.may_pad)
    decoder = runner.deferred.decoder
    return TopKStream(
        versions=versions(),
        model=model_info(loaded, runner.deferred.weights),
        k=decoder.k if decoder is not None else request.k or DEFAULT_K,
        temperature=request.temperature,
        results=results,
        notes=runner.deferred.notes,
    )


class _TopKRunner(Runner[TopKResult]):
    """Runs batches of prompts and decodes their logits."""

    def __init__(self, loaded: LoadedModel, tokenizer: Tokenizer, request: TopKRequest) -> None:
        self.forward = Forward(loaded)
        self.deferred = DeferredLogitDecoder(loaded, tokenizer, k=request.k, temperature=request.temperature)
        self._request = request
        candidates = _BYTES_PER_CANDIDATE * (request.k or DEFAULT_K)
        self.bytes_per_token = candidates if request.every_position else _BYTES_PER_TOKEN

    def problem_result(self, streamed: StreamedPrompt) -> TopKResult:
        prompt = streamed.prompt
        return TopKResult(
            streamed.index, prompt.text, prompt.ids, prompt.padding, prompt.truncated, (),
            problem=streamed.problem, extra=streamed.extra,
        )  # fmt: skip

    def run_batch(self, batch: list[StreamedPrompt]) -> list[TopKResult]:
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
                    f"token id {token_id} has no logit among the model's {decoder.token_count:,}",
                    "its vocabulary is not that of the tokenizer: leave out --token",
                )
        return decoder
