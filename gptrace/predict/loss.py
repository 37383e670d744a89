"""`gptrace loss`: the cross-entropy of each token of a text. Shapes: R rows, V vocabulary."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from msgspec.structs import force_setattr

from gptrace.model.build import LoadedModel
from gptrace.model.devices import computes_float64
from gptrace.model.quiet_torch import torch
from gptrace.predict.batching import BatchBudget, batches
from gptrace.predict.candidates import log_softmax, rows_per_chunk
from gptrace.predict.forward import Forward, LogitRows
from gptrace.predict.logit_decoder import DeferredLogitDecoder
from gptrace.predict.prompt_stream import PromptStream, StreamedPrompt
from gptrace.predict.runner import Runner
from gptrace.predict.validation import resolve_stride
from gptrace.record import LossResult, LossStream, LossTotal, ScoredToken, Token
from gptrace.text.prompts import Prompt, padded
from gptrace.text.tokenizer import Tokenizer
from gptrace.tracing.model_facts import model_info, versions

Tensor = torch.Tensor
Score = tuple[float, int]  # log-probability, rank
Progress = Callable[[int, int | None], object]  # windows that are scored, and all if they are known
_LARGEST_EXPONENT = 709.0  # exp of more overflows


class Window(NamedTuple):
    """The part of a text that goes through the model at once: its tokens from `start` to `end`.

    The tokens from `first` on are scored; the ones before are only context.
    """

    start: int
    end: int
    first: int

    @property
    def has_scores(self) -> bool:
        """Tell whether there is a token to score."""
        return self.first < self.end


def windows(length: int, context_length: int | None, stride: int | None = None) -> list[Window]:
    """Cut a text into windows, so that each token but the first is scored once.

    Each window starts `stride` tokens after the one before (default: half a context), so that every scored
    token of a later window sees at least context_length - stride tokens before it.

    >>> windows(10, 6, 4)
    [Window(start=0, end=6, first=1), Window(start=4, end=10, first=6)]
    """
    if context_length is None or length <= context_length:
        return [Window(0, length, 1)]
    step = resolve_stride(stride, context_length)
    cut = [Window(0, context_length, 1)]
    while cut[-1].end < length:
        start = cut[-1].start + step
        cut.append(Window(start, min(start + context_length, length), cut[-1].end))
    return cut


def run_loss(
    loaded: LoadedModel,
    tokenizer: Tokenizer,
    prompts: PromptStream,
    *,
    context_length: int | None = None,
    stride: int | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> LossStream:
    """Score each token of each prompt, given the tokens before it; the total is known at the end."""
    budget = BatchBudget.for_device(loaded.device.type, batch_size)
    scorer = _Scorer(loaded, tokenizer, context_length, stride, budget)
    if progress is not None:
        scorer.report_to(progress, prompts.known)
    results = scorer.results(prompts, budget, may_pad=scorer.forward.may_pad)
    decoder = scorer.deferred.decoder
    stream = LossStream(
        versions=versions(),
        model=model_info(loaded, scorer.deferred.weights),
        results=results,
        total=LossTotal(0, None, None),
        uniform=None if decoder is None else math.log(decoder.token_count),
        notes=scorer.deferred.notes,
    )
    force_setattr(stream, "results", _with_total(stream, results, stride, context_length))
    return stream


def _with_total(
    stream: LossStream, results: Iterator[LossResult], stride: int | None, context_length: int | None
) -> Iterator[LossResult]:
    """Yield the results; at the end the stream gets its total, and its stride where a text took windows."""
    # Sums of each text, not all of its scores: a stream may have no end.
    tokens, total, has_windows = 0, 0.0, False
    for result in results:
        scores = [token.log_probability for token in result.tokens if token.log_probability is not None]
        tokens += len(scores)
        total = math.fsum([total, *scores])
        has_windows = has_windows or result.windows > 1
        yield result
    force_setattr(stream, "total", LossTotal(tokens, *_mean(total, tokens)))
    if has_windows:
        force_setattr(stream, "stride", resolve_stride(stride, context_length or 0))


class _Scorer(Runner[LossResult]):
    """Runs windows of texts and scores their tokens."""

    bytes_per_token = 256

    def __init__(
        self, loaded: LoadedModel, tokenizer: Tokenizer, context_length: int | None, stride: int | None,
        budget: BatchBudget,
    ) -> None:  # fmt: skip
        self.forward = Forward(loaded)
        self.deferred = DeferredLogitDecoder(loaded, tokenizer)
        self._context_length, self._stride, self._budget = context_length, stride, budget
        self._progress: Callable[[int], object] = lambda count: None

    def report_to(self, progress: Progress, known: Sequence[Prompt] | None) -> None:
        """Call `progress` after each batch of windows; the `known` prompts are all that there are."""
        total = None if known is None else sum(
            window.has_scores for prompt in known for window in self._windows(prompt)
        )  # fmt: skip
        done = 0

        def report(count: int) -> None:
            nonlocal done
            done += count
            progress(done, total)

        self._progress = report

    def _windows(self, prompt: Prompt) -> list[Window]:
        return windows(len(prompt.tokens), self._context_length, self._stride)

    def problem_result(self, streamed: StreamedPrompt) -> LossResult:
        prompt = streamed.prompt
        return LossResult(
            streamed.index, prompt.text, prompt.ids, (), None, None, 0, streamed.problem, streamed.extra
        )

    def run_batch(self, batch: list[StreamedPrompt]) -> list[LossResult]:
        prompts = [streamed.prompt for streamed in batch]
        cut = [self._windows(prompt) for prompt in prompts]
        parts = [(number, window) for number, row in enumerate(cut) for window in row if window.has_scores]
        lengths = [window.end - window.start for _, window in parts]
        scores: list[dict[int, Score]] = [{} for _ in prompts]
        for group in batches(lengths, self._budget, may_pad=self.forward.may_pad):
            members = [parts[index] for index in group]
            new_scores = self.run([(prompts[number], window) for number, window in members])
            for (number, window), of_window in zip(members, new_scores, strict=True):
                scores[number].update(enumerate(of_window, start=window.first))
            self._progress(len(members))
        return [
            _result(streamed, self.deferred.displayable(streamed.prompt), scores[number], len(cut[number]))
            for number, streamed in enumerate(batch)
        ]

    def run(self, parts: Sequence[tuple[Prompt, Window]]) -> list[list[Score]]:
        """Return the scores of each window's tokens, from its `first` on."""
        prompts = padded(
            [replace(prompt, tokens=prompt.tokens[window.start : window.end]) for prompt, window in parts]
        )
        # The logits at a position score the token after it.
        positions = [range(w.first - 1 - w.start, w.end - 1 - w.start) for _, w in parts]
        scores: list[list[Score]] = [[] for _ in parts]

        def read(rows: LogitRows) -> None:
            decoder = self.deferred.decoder_for(rows.logits, prompts[0])
            targets = [prompts[number].tokens[position + 1].id for number, position in rows.places]
            logits = rows.logits[:, : (count := decoder.token_count)]
            if max(targets) >= count:
                # A text may hold an id that only pads the vocabulary: all logits count in its row alone.
                logits = rows.logits.clone()
                known = [number for number, target in enumerate(targets) if target < count]
                logits[known, count:] = -math.inf
            for (number, _), score in zip(rows.places, scores_of(logits, targets), strict=True):
                scores[number].append(score)

        self.forward.read(prompts, positions, read)
        return scores


def scores_of(logits: Tensor, targets: Sequence[int]) -> list[Score]:
    """Return log-probability and rank of each row's target (R, V), in float64; equal logits rank by id.

    Raises a RunError as `log_softmax` does.

    >>> scores_of(torch.tensor([[0.0, 0.0]]), [1])
    [(-0.6931471805599453, 2)]
    """
    scores: list[Score] = []
    logits = logits if computes_float64(logits.device) else logits.cpu()
    ids = torch.arange(logits.shape[1], device=logits.device)
    target_ids = torch.tensor(targets, device=logits.device)
    step = rows_per_chunk(logits.shape[1])
    for rows, target in zip(torch.split(logits, step), torch.split(target_ids, step), strict=True):
        values = rows.gather(1, target[:, None])  # (R, 1)
        ahead = (rows > values) | ((rows == values) & (ids < target[:, None]))
        log_probabilities = log_softmax(rows).gather(1, target[:, None])
        scores += zip(log_probabilities[:, 0].tolist(), (1 + ahead.sum(dim=-1)).tolist(), strict=True)
    return scores


def _result(
    streamed: StreamedPrompt, prompt: Prompt, scores: Mapping[int, Score], windows: int
) -> LossResult:
    tokens = tuple(
        _scored(token, scores[at]) if at in scores else ScoredToken(token.id, token.text, token.bytes)
        for at, token in enumerate(prompt.tokens)
    )
    mean = _mean(math.fsum(score for score, _ in scores.values()), len(scores))
    return LossResult(streamed.index, prompt.text, prompt.ids, tokens, *mean, windows, extra=streamed.extra)


def _scored(token: Token, score: Score) -> ScoredToken:
    log_probability, rank = score
    return ScoredToken(token.id, token.text, token.bytes, log_probability, math.exp(log_probability), rank)


def _mean(log_probability: float, count: int) -> tuple[float | None, float | None]:
    """Return the loss, -mean(log p), and the perplexity, exp(loss), of a sum of log p."""
    if not count:
        return None, None
    loss = -log_probability / count
    return loss, math.inf if loss >= _LARGEST_EXPONENT else math.exp(loss)
