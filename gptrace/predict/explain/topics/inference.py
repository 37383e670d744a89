"""Inference: how the last row of logits becomes the next token, and how the text goes on."""

from __future__ import annotations

import math
from typing import cast

from gptrace.model.quiet_torch import torch
from gptrace.predict.explain.claims import MeasuredClaim
from gptrace.predict.explain.measured_model import MeasuredModel, largest_difference
from gptrace.predict.sampling import next_id, probabilities

Tensor = torch.Tensor
_DRAWS = 100_000
# A count may be off by so many standard deviations: chance exceeds six once in five hundred million times.
_DEVIATIONS = 6


def measure(model: MeasuredModel) -> list[MeasuredClaim]:
    """Measure the last row alone, the greedy and a sampled token, and the step after that."""
    chances = probabilities(model.last_logits.cpu())
    return [_last_row(model), _greedy(model, chances), _sampled(model, chances), _next_step(model)]


def _last_row(model: MeasuredModel) -> MeasuredClaim:
    if model.head is None or model.head_input is None:
        return model.claim("last_row_unmeasured", None)
    alone = cast(Tensor, model.head(model.head_input[None, -1:]))[0, 0]
    difference = largest_difference(alone, model.captured.outputs[model.structure.head][0, -1])
    holds = difference <= model.head_tolerance
    return model.claim("last_row", holds, rows=len(model.logits), difference=difference)


def _greedy(model: MeasuredModel, chances: Tensor) -> MeasuredClaim:
    again = model.run(model.ids)[0, -1, : model.decoder.token_count]
    second_id, probability = next_id(again, torch.Generator()), float(chances[model.greedy_id])
    token, second = model.token(model.greedy_id), model.token(second_id)
    return model.claim("greedy", second_id == token.id, token=token, probability=probability, second=second)


def _sampled(model: MeasuredModel, chances: Tensor) -> MeasuredClaim:
    """Draw one token, then many: the greedy token has to come up about as often as its probability says."""
    generator = torch.Generator().manual_seed(model.seed % (1 << 64))
    sampled_id = next_id(model.last_logits, generator, temperature=1.0)
    draws = torch.multinomial(chances, _DRAWS, replacement=True, generator=generator)
    greedy_draws, probability = int((draws == model.greedy_id).sum()), float(chances[model.greedy_id])
    expected = _DRAWS * probability
    deviation = math.sqrt(expected * (1 - probability))
    holds = abs(greedy_draws - expected) <= _DEVIATIONS * deviation + 1
    sampled = {"token": model.token(sampled_id), "probability": float(chances[sampled_id])}
    counts = {"draws": _DRAWS, "greedy_draws": greedy_draws, "expected": expected}
    greedy = model.token(model.greedy_id)
    return model.claim("sampled", holds, seed=model.seed, greedy=greedy, **sampled, **counts)


def _next_step(model: MeasuredModel) -> MeasuredClaim:
    token, longer = model.token(model.greedy_id), model.run_with(model.greedy_id)
    if longer is None:
        return model.claim("context_full", None, token=token)
    holds = longer.shape[1] in (len(model.logits) + 1, 1)  # a model may return the last row alone
    return model.claim(
        "next_step", holds, token=token, logits=longer, following=model.likeliest(longer[0, -1])
    )
