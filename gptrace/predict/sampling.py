"""Logits → the next token, the likeliest or a sampled one. Shape: V vocabulary."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import check_probabilities_exist

Tensor = torch.Tensor


def next_id(
    logits: Tensor,
    generator: torch.Generator,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> int:
    """Return the id of the next token after logits (V,), sampled with the generator.

    At temperature 0 it is the likeliest token; of equal logits, that of the lowest id. Raises a
    NotFiniteError where the largest logit is NaN or infinite.

    >>> next_id(torch.tensor([1.0, 3.0, 3.0]), torch.Generator())
    1
    """
    logits = logits.detach().cpu()
    check_probabilities_exist(logits[None])
    if temperature == 0:
        return int((logits == logits.max()).nonzero()[0])
    distribution = probabilities(logits, temperature=temperature, top_k=top_k, top_p=top_p)
    return int(torch.multinomial(distribution, 1, generator=generator))


def probabilities(
    logits: Tensor, *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """Return the probabilities (V,) that sampling draws from, in float64: softmax(logits / temperature).

    `top_k` keeps the k largest logits, and all that equal the smallest of these. Then `top_p` keeps the
    fewest tokens whose probabilities sum to p or more (nucleus sampling, arXiv:1904.09751). The others get 0.

    >>> probabilities(torch.tensor([0.0, 0.0, -1.0]), top_k=2).tolist()
    [0.5, 0.5, 0.0]
    """
    values = (logits.double() - logits.max()) / temperature
    if top_k is not None and top_k < values.shape[0]:
        smallest = values.topk(top_k).values[-1]
        values = values.masked_fill(values < smallest, -torch.inf)
    distribution = torch.softmax(values, dim=-1)
    if top_p is not None and top_p < 1:
        ordered, ids = distribution.sort(descending=True, stable=True)
        preceding = ordered.cumsum(dim=-1) - ordered  # the sum of all more likely tokens
        distribution = distribution.index_fill(0, ids[preceding >= top_p], 0.0)
        distribution = distribution / distribution.sum()
    return distribution
