"""Logits → the most likely next tokens."""

from __future__ import annotations

import math

from gptrace.model.quiet_torch import torch
from gptrace.record import Candidate
from gptrace.text import encoding


def candidates(logits: torch.Tensor, k: int, temperature: float = 1.0) -> tuple[Candidate, ...]:
    """Return the `k` most likely next tokens of one row of logits (V,).

    Probabilities are softmax(logits / temperature), computed in float64; equal logits rank by id.

    >>> [(c.token.text, round(c.probability, 4)) for c in candidates(torch.tensor([2.0, 1.0, 0.0]), k=2)]
    [('!', 0.6652), ('"', 0.2447)]
    """
    logits = logits.detach().cpu().double()  # (V,)
    log_probabilities = torch.log_softmax(logits / temperature, dim=-1)
    ids = logits.topk(k).indices.tolist()
    rows = sorted(
        ((float(logits[token_id]), token_id) for token_id in ids), key=lambda row: (-row[0], row[1])
    )
    return tuple(
        Candidate(
            rank=rank,
            token=encoding.token(token_id),
            logit=logit,
            probability=math.exp(log_probability),
            log_probability=log_probability,
        )
        for rank, (logit, token_id) in enumerate(rows, start=1)
        for log_probability in [float(log_probabilities[token_id])]
    )
