"""Softmax: how a row of logits becomes probabilities."""

from __future__ import annotations

import math

from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import candidates_of_rows, log_softmax, rows_per_chunk
from gptrace.predict.explain.claims import MeasuredClaim
from gptrace.predict.explain.measured_model import MeasuredModel
from gptrace.record import Candidate

Tensor = torch.Tensor
# So many of the likeliest tokens are compared.
_COMPARED = 100
_TEMPERATURES = (0.5, 1.0, 2.0)
_TOLERANCE = 1e-6


def measure(model: MeasuredModel) -> list[MeasuredClaim]:
    """Measure sums, ranking and ratios of probabilities, and what a temperature changes."""
    logits = model.logits[:, : model.decoder.token_count]
    count = min(_COMPARED, logits.shape[1])
    ((ranked, _),) = candidates_of_rows(logits[-1:], count, tokenizer=model.decoder.tokenizer)
    return [
        _sums(model, logits),
        _ranking(model, log_softmax(logits[-1:])[0].exp(), ranked),
        _ratio(model, ranked),
        _temperature(model, logits[-1:], ranked),
    ]


def _sums(model: MeasuredModel, logits: Tensor) -> MeasuredClaim:
    """Add up the probabilities of each row of logits (R, V), some rows at a time; none of them is NaN."""
    deviation, smallest = 0.0, math.inf
    for some in torch.split(logits, rows_per_chunk(logits.shape[1])):
        probabilities = log_softmax(some).exp()
        deviation = max(deviation, float((probabilities.sum(dim=-1) - 1).abs().max()))
        smallest = min(smallest, float(probabilities.min()))
    holds = deviation <= _TOLERANCE and smallest >= 0
    return model.claim("softmax", holds, rows=len(logits), deviation=deviation, smallest=smallest)


def _ranking(model: MeasuredModel, probabilities: Tensor, ranked: tuple[Candidate, ...]) -> MeasuredClaim:
    """Compare the ranking of the last position by logit with that by probability (V,)."""
    holds = _falls(probabilities, ranked) and bool(probabilities[ranked[0].token.id] == probabilities.max())
    return model.claim("ranking", holds, count=len(ranked), first=ranked[0].token)


def _ratio(model: MeasuredModel, ranked: tuple[Candidate, ...]) -> MeasuredClaim:
    first, second = ranked[0], ranked[min(1, len(ranked) - 1)]
    difference, log_ratio = first.logit - second.logit, first.log_probability - second.log_probability
    holds = math.isclose(difference, log_ratio, rel_tol=1e-5, abs_tol=1e-5)
    figures = {"first": first, "second": second, "difference": difference, "log_ratio": log_ratio}
    return model.claim("log_ratio", holds, **figures)


def _temperature(model: MeasuredModel, logits: Tensor, ranked: tuple[Candidate, ...]) -> MeasuredClaim:
    """Divide the last row of logits (1, V) by each temperature."""
    best = ranked[0].token
    rows = [log_softmax(logits, temperature)[0] for temperature in _TEMPERATURES]
    of_best = [math.exp(float(row[best.id])) for row in rows]
    holds = of_best == sorted(of_best, reverse=True) and all(_falls(row, ranked) for row in rows)
    at_temperatures = [
        {"temperature": temperature, "probability": probability}
        for temperature, probability in zip(_TEMPERATURES, of_best, strict=True)
    ]
    return model.claim("temperature", holds, first=best, at_temperatures=at_temperatures)


def _falls(values: Tensor, ranked: tuple[Candidate, ...]) -> bool:
    """Tell whether the values (V,) of ranked tokens never rise from one to the next."""
    in_order = values.cpu()[torch.tensor([candidate.token.id for candidate in ranked])]
    return bool((in_order[:-1] >= in_order[1:]).all())
