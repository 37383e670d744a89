"""`gptrace loss`: how well a model expects each token of a text. Shapes: R rows, V vocabulary."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from gptrace.errors import OptionError
from gptrace.model.build import LoadedModel
from gptrace.model.quiet_torch import torch
from gptrace.predict.batching import Budget, batches
from gptrace.predict.candidates import log_softmax, rows_per_chunk
from gptrace.predict.forward import Forward, LogitRows
from gptrace.predict.logit_decoder import DeferredLogitDecoder
from gptrace.record import Loss, LossResult, LossTotal, ScoredToken, Token
from gptrace.text.prompts import Prompt, padded
from gptrace.text.tokenizer import Tokenizer
from gptrace.tracing.model_facts import model_info, versions

Tensor = torch.Tensor
Score = tuple[float, int]  # log-probability, rank


class Window(NamedTuple):
    """The part of a text that goes through the model at once: its tokens from `start` to `end`.

    Those from `first` on are scored in it; the ones before are only context.
    """

    start: int
    end: int
    first: int


def windows(length: int, context_length: int | None, stride: int | None = None) -> list[Window]:
    """Cut a text into windows, such that each token but the first is scored once.

    Each moves on by `stride` tokens, half a context unless it is given, so that every scored token sees at
    least context_length - stride tokens before it.

    >>> windows(10, 6, 4)
    [Window(start=0, end=6, first=1), Window(start=4, end=10, first=6)]
    """
    if context_length is None or length <= context_length:
        return [Window(0, length, 1)]
    step = checked_stride(stride, context_length)
    found = [Window(0, context_length, 1)]
    while found[-1].end < length:
        start = found[-1].start + step
        found.append(Window(start, min(start + context_length, length), found[-1].end))
    return found


def checked_stride(stride: int | None, context_length: int) -> int:
    """Return by how much windows move on; raise an OptionError where a token would have no context."""
    if context_length < 2:
        raise OptionError(
            f"a context of {context_length} tokens predicts nothing within a text", "take a larger model"
        )
    step = max(1, context_length // 2) if stride is None else stride
    if not 1 <= step < context_length:
        raise OptionError(
            f"stride is {step}", f"it must be from 1 to {context_length - 1}, less than the context"
        )
    return step


def run_loss(
    loaded: LoadedModel,
    tokenizer: Tokenizer,
    prompts: Sequence[Prompt],
    *,
    context_length: int | None = None,
    stride: int | None = None,
    batch_size: int | None = None,
) -> Loss:
    """Score each token of each prompt by those before it."""
    if stride is not None:
        checked_stride(stride, context_length if context_length is not None else sys.maxsize)
    scoring = _Scoring(loaded, tokenizer)
    cut = [windows(len(prompt.tokens), context_length, stride) for prompt in prompts]
    parts = [
        (number, window) for number, those in enumerate(cut) for window in those if window.first < window.end
    ]
    lengths = [window.end - window.start for _, window in parts]
    budget = Budget.of(loaded.device.type, batch_size)
    scores: list[dict[int, Score]] = [{} for _ in prompts]
    for batch in batches(lengths, budget, may_pad=scoring.forward.may_pad):
        members = [parts[index] for index in batch]
        found = scoring.run([(prompts[number], window) for number, window in members])
        for (number, window), its_scores in zip(members, found, strict=True):
            scores[number].update(enumerate(its_scores, start=window.first))
    reading = scoring.reading
    results = tuple(
        _result(index, reading.shown(prompt), scores[index], len(cut[index]))
        for index, prompt in enumerate(prompts)
    )
    every = [score for of_prompt in scores for score, _ in of_prompt.values()]
    return Loss(
        versions=versions(),
        model=model_info(loaded.module, loaded.name, reading.weights),
        results=results,
        total=LossTotal(len(every), *_mean(every)),
        uniform=None if reading.made is None else math.log(reading.made.count),
        stride=checked_stride(stride, context_length or 0)
        if any(one.windows > 1 for one in results)
        else None,
        notes=reading.notes,
    )


class _Scoring:
    """Runs windows of texts, and scores their tokens."""

    def __init__(self, loaded: LoadedModel, tokenizer: Tokenizer) -> None:
        self.forward = Forward(loaded)
        self.reading = DeferredLogitDecoder(loaded, tokenizer)

    def run(self, parts: Sequence[tuple[Prompt, Window]]) -> list[list[Score]]:
        """Return the scores of the tokens that each window is there for, from its `first` on."""
        prompts = padded(
            [replace(prompt, tokens=prompt.tokens[window.start : window.end]) for prompt, window in parts]
        )
        wanted = [range(w.first - 1 - w.start, w.end - 1 - w.start) for _, w in parts]
        found: list[list[Score]] = [[] for _ in parts]

        def read(rows: LogitRows) -> None:
            reading = self.reading.of(rows.logits, prompts[0])
            targets = [prompts[number].tokens[position + 1].id for number, position in rows.places]
            # A text may hold an id that only pads the vocabulary: then all of it counts.
            count = reading.count if max(targets) < reading.count else rows.logits.shape[1]
            scores = scores_of(rows.logits[:, :count], targets)
            for (number, _), score in zip(rows.places, scores, strict=True):
                found[number].append(score)

        self.forward.read(prompts, wanted, read)
        return found


def scores_of(logits: Tensor, targets: Sequence[int]) -> list[Score]:
    """Return log-probability and rank of each row's target (R, V), in float64; equal logits rank by id.

    >>> scores_of(torch.tensor([[0.0, 0.0]]), [1])
    [(-0.6931471805599453, 2)]
    """
    found: list[Score] = []
    logits = logits.cpu() if logits.device.type == "mps" else logits
    ids = torch.arange(logits.shape[1], device=logits.device)
    wanted = torch.tensor(targets, device=logits.device)
    step = rows_per_chunk(logits.shape[1])
    for rows, target in zip(torch.split(logits, step), torch.split(wanted, step), strict=True):
        values = rows.gather(1, target[:, None])  # (R, 1)
        ahead = (rows > values) | ((rows == values) & (ids < target[:, None]))
        chances = log_softmax(rows).gather(1, target[:, None])
        found += zip(chances[:, 0].tolist(), (1 + ahead.sum(dim=-1)).tolist(), strict=True)
    return found


def _result(index: int, prompt: Prompt, scores: Mapping[int, Score], windows: int) -> LossResult:
    tokens = tuple(
        _scored(token, scores[at]) if at in scores else ScoredToken(token.id, token.text, token.bytes)
        for at, token in enumerate(prompt.tokens)
    )
    mean = _mean([score for score, _ in scores.values()])
    return LossResult(index, prompt.text, prompt.ids, tokens, *mean, windows)


def _scored(token: Token, score: Score) -> ScoredToken:
    log_probability, rank = score
    # NaN stands at no place among others.
    known = None if math.isnan(log_probability) else rank
    return ScoredToken(token.id, token.text, token.bytes, log_probability, math.exp(log_probability), known)


def _mean(log_probabilities: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the loss, -mean(log p), and the perplexity, exp(loss)."""
    if not log_probabilities:
        return None, None
    loss = -math.fsum(log_probabilities) / len(log_probabilities)
    return loss, math.inf if loss >= _LARGEST_EXPONENT else math.exp(loss)


_LARGEST_EXPONENT = 709.0
