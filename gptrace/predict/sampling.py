"""Logits → the next token: the likeliest, or a sampled one. Shape: V vocabulary."""

from __future__ import annotations

from gptrace.errors import RunError
from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor


def next_id(
    logits: Tensor,
    generator: torch.Generator,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> int:
    """Return the id of the next token after logits (V,): at temperature 0 the likeliest, of equals the first.

    >>> next_id(torch.tensor([1.0, 3.0, 3.0]), torch.Generator())
    1
    """
    logits = logits.detach().cpu()
    best = logits.max()
    if not bool(best.isfinite()):
        raise RunError(
            f"the greatest logit is {float(best)}, so there is no next token",
            "gptrace run --columns nan names the call that made it",
        )
    if temperature == 0:
        return int((logits == best).nonzero()[0])
    chances = probabilities(logits, temperature=temperature, top_k=top_k, top_p=top_p)
    return int(torch.multinomial(chances, 1, generator=generator))


def probabilities(
    logits: Tensor, *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """Return what logits (V,) are sampled with, in float64: softmax of those that are left, divided by T.

    `top_k` leaves the k largest (and what equals the least of them); then `top_p` (nucleus sampling,
    arXiv:1904.09751) the fewest of these whose probabilities come to p.

    >>> probabilities(torch.tensor([0.0, 0.0, -1.0]), top_k=2).tolist()
    [0.5, 0.5, 0.0]
    """
    values = (logits.double() - logits.max()) / temperature
    if top_k is not None and top_k < values.shape[0]:
        least = values.topk(top_k).values[-1]
        values = values.masked_fill(values < least, -torch.inf)
    chances = torch.softmax(values, dim=-1)
    if top_p is not None and top_p < 1:
        ordered, ids = chances.sort(descending=True, stable=True)
        before = ordered.cumsum(dim=-1) - ordered  # what those ahead come to
        chances = chances.index_fill(0, ids[before >= top_p], 0.0)
        chances = chances / chances.sum()
    return chances
