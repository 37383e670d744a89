"""Logits → the most likely next tokens."""

from __future__ import annotations

import math

from gptrace.model.quiet_torch import torch
from gptrace.record import Candidate
from gptrace.text import encoding
from gptrace.text.tokenizer import Tokenizer


def candidates(
    logits: torch.Tensor, k: int, temperature: float = 1.0, tokenizer: Tokenizer = encoding
) -> tuple[Candidate, ...]:
    """Return the `k` most likely next tokens of one row of logits (V,).

    Probabilities are softmax(logits / temperature), computed in float64; equal logits rank by id.

    >>> [(c.token.text, round(c.probability, 4)) for c in candidates(torch.tensor([2.0, 1.0, 0.0]), k=2)]
    [('!', 0.6652), ('"', 0.2447)]
    """
    logits = logits.detach().cpu().double()  # (V,)
    # Less the largest first: a tiny temperature must not make infinities of both.
    log_probabilities = torch.log_softmax((logits - logits.max()) / temperature, dim=-1)
    # A stable sort, where topk would pick any of equal logits.
    ids = logits.sort(descending=True, stable=True).indices[:k].tolist()
    return tuple(
        Candidate(
            rank=rank,
            token=tokenizer.token(token_id),
            logit=float(logits[token_id]),
            probability=math.exp(log_probability),
            log_probability=log_probability,
        )
        for rank, token_id in enumerate(ids, start=1)
        for log_probability in [float(log_probabilities[token_id])]
    )
