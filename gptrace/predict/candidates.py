"""Logits → the most likely next tokens. Shapes: R rows, V vocabulary."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gptrace.model.quiet_torch import torch
from gptrace.record import Candidate
from gptrace.text import encoding
from gptrace.text.tokenizer import Tokenizer

Tensor = torch.Tensor
# Numbers of float64 that are held at once: 8 MiB.
_AT_ONCE = 1 << 20


def candidates(
    logits: Tensor, k: int, temperature: float = 1.0, tokenizer: Tokenizer = encoding
) -> tuple[Candidate, ...]:
    """Return the `k` most likely next tokens of one row of logits (V,).

    Probabilities are softmax(logits / temperature), computed in float64; equal logits rank by id.

    >>> [(c.token.text, round(c.probability, 4)) for c in candidates(torch.tensor([2.0, 1.0, 0.0]), k=2)]
    [('!', 0.6652), ('"', 0.2447)]
    """
    return candidates_of_rows(logits[None], k, temperature, tokenizer)[0][0]


def candidates_of_rows(
    logits: Tensor,
    k: int,
    temperature: float = 1.0,
    tokenizer: Tokenizer = encoding,
    chosen: Sequence[int] = (),
) -> list[tuple[tuple[Candidate, ...], tuple[Candidate, ...]]]:
    """Return for each row of logits (R, V) its `k` most likely tokens, and those of the `chosen` ids.

    >>> rows = torch.tensor([[2.0, 1.0, 0.0], [0.0, 5.0, 5.0]])
    >>> [[c.token.id for c in best] for best, _ in candidates_of_rows(rows, k=2)]
    [[0, 1], [1, 2]]
    >>> candidates_of_rows(rows, k=1, chosen=[2])[0][1][0].rank
    3
    """
    found = []
    for part in torch.split(logits.detach().cpu(), rows_per_chunk(logits.shape[1])):
        log_probabilities = log_softmax(part, temperature)
        best = _best(part, k)
        for row, (values, chances, ids) in enumerate(zip(part, log_probabilities, best, strict=True)):
            ranked = list(enumerate(ids, start=1))
            asked = [(rank_of(part[row], one), one) for one in chosen]
            found.append(
                (
                    _candidates(ranked, values, chances, tokenizer),
                    _candidates(asked, values, chances, tokenizer),
                )
            )
    return found


def rows_per_chunk(vocab_size: int) -> int:
    """Return how many rows of logits are to be turned into float64 at once."""
    return max(1, _AT_ONCE // vocab_size)


def log_softmax(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the log-probabilities (R, V) of logits / temperature, in float64."""
    # Less the largest first: a tiny temperature must not make infinities of both.
    values = exact(logits)
    return torch.log_softmax((values - values.amax(dim=-1, keepdim=True)) / temperature, dim=-1)


def exact(values: Tensor) -> Tensor:
    """Return numbers as float64; of Apple's GPUs, which have none, on the CPU."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def rounding(dtype: torch.dtype) -> float:
    """Return what two ways of the same sum may differ by, relative to the largest number in them."""
    return {torch.float64: 1e-9, torch.float32: 1e-4}.get(dtype, 8 * torch.finfo(dtype).eps)


def rank_of(logits: Tensor, token_id: int) -> int:
    """Return the place of a token among logits (V,), from 1; of equal ones the lower id comes first.

    >>> rank_of(torch.tensor([1.0, 5.0, 5.0]), 2)
    2
    """
    value = logits[token_id]
    return 1 + int((logits > value).sum()) + int((logits[:token_id] == value).sum())


def _best(logits: Tensor, k: int) -> list[list[int]]:
    """Return the ids of the `k` largest of each row (R, V), equal ones by id."""
    values, ids = logits.topk(k, dim=-1)  # (R, k)
    # Of equal logits topk picks any: where more than k reach the least, or one is NaN, all are sorted.
    clear = ((logits >= values[:, -1:]).sum(dim=-1) == k).tolist()
    found = []
    for row, is_clear in enumerate(clear):
        if is_clear:
            pairs = sorted(zip(values[row].tolist(), ids[row].tolist(), strict=True), key=_by_value)
            found.append([token_id for _, token_id in pairs])
        else:
            order = logits[row].sort(descending=True, stable=True).indices
            found.append(order[:k].tolist())
    return found


def _by_value(pair: tuple[float, int]) -> tuple[float, int]:
    return -pair[0], pair[1]


def _candidates(
    ranked: Sequence[tuple[int, int]], logits: Tensor, log_probabilities: Tensor, tokenizer: Tokenizer
) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(
            rank=rank,
            id=token_id,
            text=token.text,
            bytes=token.bytes,
            logit=float(logits[token_id]),
            probability=math.exp(log_probability),
            log_probability=log_probability,
        )
        for rank, token_id in ranked
        for token in [tokenizer.token(token_id)]
        for log_probability in [float(log_probabilities[token_id])]
    )
