"""Logits → the most likely next tokens. Shapes: R rows, V vocabulary."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from gptrace.errors import NAMES_ORIGIN, NotFiniteError
from gptrace.model.devices import computes_float64
from gptrace.model.quiet_torch import torch
from gptrace.record import Candidate
from gptrace.text.gpt2_tokenizer import GPT2
from gptrace.text.tokenizer import Tokenizer

Tensor = torch.Tensor
# Numbers that are converted to float64 at once: 2 MiB of them.
CHUNK_SIZE = 1 << 18


def candidates_of_rows(
    logits: Tensor, k: int, temperature: float = 1.0, tokenizer: Tokenizer = GPT2,
    chosen: Sequence[int] = (),
) -> list[tuple[tuple[Candidate, ...], tuple[Candidate, ...]]]:  # fmt: skip
    """Return for each row of logits (R, V) its `k` most likely tokens, and the tokens of the ids in `chosen`.

    Probabilities are softmax(logits / temperature), computed in float64. Ranks start at 1, and equal logits
    rank by id; a token of `chosen` has its rank in the whole row. Raises an error as `log_softmax` does.

    >>> rows = torch.tensor([[2.0, 1.0, 0.0], [0.0, 5.0, 5.0]])
    >>> [[(c.id, round(c.probability, 4)) for c in best] for best, _ in candidates_of_rows(rows, k=2)]
    [[(0, 0.6652), (1, 0.2447)], [(1, 0.4983), (2, 0.4983)]]
    >>> candidates_of_rows(rows, k=1, chosen=[2])[0][1][0].rank
    3
    """
    candidates_by_row = []
    for chunk in torch.split(logits.detach().cpu(), rows_per_chunk(logits.shape[1])):
        for row, log_probabilities, best_ids in zip(
            chunk, log_softmax(chunk, temperature), _best_ids(chunk, k), strict=True
        ):
            best = _candidates(enumerate(best_ids, start=1), row, log_probabilities, tokenizer)
            ranked = [(rank_of(row, token_id), token_id) for token_id in chosen]
            candidates_by_row.append((best, _candidates(ranked, row, log_probabilities, tokenizer)))
    return candidates_by_row


def rows_per_chunk(vocab_size: int) -> int:
    """Return how many rows of logits to convert to float64 at once."""
    return max(1, CHUNK_SIZE // vocab_size)


def log_softmax(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the log-probabilities (R, V) of logits / temperature, in float64.

    Raises a NotFiniteError where the greatest logit of a row is NaN or infinite: softmax has no value there.
    """
    values = as_float64(logits)
    check_probabilities_exist(values)
    # The largest is subtracted first: divided by a tiny temperature, large logits would become infinite.
    return torch.log_softmax((values - values.amax(dim=-1, keepdim=True)) / temperature, dim=-1)


def have_probabilities(logits: Tensor) -> Tensor:
    """Tell for each row of logits (R, V) whether softmax makes probabilities of it: (R,).

    >>> have_probabilities(torch.tensor([[1.0, -torch.inf], [1.0, torch.nan]])).tolist()
    [True, False]
    """
    return logits.amax(dim=-1).isfinite()  # of a row that holds NaN, the greatest is NaN


def check_probabilities_exist(logits: Tensor) -> None:
    """Raise a NotFiniteError where a row of logits (R, V) has no probabilities, and so no ranking."""
    without = logits[~have_probabilities(logits)]
    if len(without):
        value = float(without[0].max())
        raise NotFiniteError(f"the greatest logit is {value}, so there is no next token", NAMES_ORIGIN, value)


def as_float64(values: Tensor) -> Tensor:
    """Return values in float64; on the CPU if they were on a device that may not have it."""
    return (values if computes_float64(values.device) else values.cpu()).double()


def rounding_tolerance(dtype: torch.dtype) -> float:
    """Return how far two computations of the same sum may differ, relative to their largest number."""
    return {torch.float64: 1e-9, torch.float32: 1e-4}.get(dtype, 8 * torch.finfo(dtype).eps)


def allowed_rounding(logits: Tensor) -> float:
    """Return how far logits may be from a second computation of them, given their largest finite one.

    >>> allowed_rounding(torch.tensor([-float("inf"), -20.0, 5.0], dtype=torch.float64))
    2e-08
    """
    finite = logits[logits.isfinite()]
    largest = float(finite.abs().max()) if len(finite) else 1.0
    return rounding_tolerance(logits.dtype) * max(1.0, largest)


def rank_of(logits: Tensor, token_id: int) -> int:
    """Return the rank of a token among logits (V,), from 1; equal logits rank by id.

    >>> rank_of(torch.tensor([1.0, 5.0, 5.0]), 2)
    2
    """
    value = logits[token_id]
    return 1 + int((logits > value).sum()) + int((logits[:token_id] == value).sum())


def _best_ids(logits: Tensor, k: int) -> list[list[int]]:
    """Return the ids of the `k` largest logits of each row (R, V); equal logits are in order of id."""
    values, ids = logits.topk(k, dim=-1)  # (R, k)
    # topk picks any of equal logits. Where more than k are as large as the smallest it picked, the row is
    # sorted instead.
    rows_to_sort = ((logits >= values[:, -1:]).sum(dim=-1) != k).tolist()
    ids_by_row = []
    for row, needs_sort in enumerate(rows_to_sort):
        if needs_sort:
            ids_by_row.append(logits[row].sort(descending=True, stable=True).indices[:k].tolist())
        else:
            pairs = sorted(zip((-values[row]).tolist(), ids[row].tolist(), strict=True))
            ids_by_row.append([token_id for _, token_id in pairs])
    return ids_by_row


def _candidates(
    ranked: Iterable[tuple[int, int]], logits: Tensor, log_probabilities: Tensor, tokenizer: Tokenizer
) -> tuple[Candidate, ...]:
    def candidate(rank: int, token_id: int) -> Candidate:
        token, log_probability = tokenizer.token(token_id), float(log_probabilities[token_id])
        return Candidate(
            rank, token_id, token.text, token.bytes, float(logits[token_id]), math.exp(log_probability),
            log_probability,
        )  # fmt: skip

    return tuple(candidate(rank, token_id) for rank, token_id in ranked)
