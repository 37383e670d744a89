"""Where the heads of a model look: how much of its weight a head gives to some tokens, on average."""

from __future__ import annotations

from dataclasses import dataclass

from gptrace.model.quiet_torch import torch
from gptrace.predict.attention.place import AttentionPlace
from gptrace.predict.candidates import as_float64

Tensor = torch.Tensor
# The token before the second one is the first one, so only from the third on they are two.
_FIRST_QUERY = 2


@dataclass(frozen=True, slots=True)
class HeadLook:
    """What one head does; heads are counted from 0, as blocks are.

    Shares are of its weight, averaged over the queries from the third token on; `even` is that of each token
    that a query looks at, if it looked at all of these alike. Without a third token the shares are 0.
    """

    path: str
    number: int
    previous: float
    first: float
    even: float


@dataclass(frozen=True, slots=True)
class PlaceSummary:
    """A place where a model attends, without its tensors.

    `sums` is how far the sums of the weights of a query are from 1, and `later` the greatest weight of a
    token that comes after the query. `window` is how many tokens a query looks at, at most, and 0 where the
    last query looks at all of those before it.
    """

    path: str
    heads: tuple[HeadLook, ...]
    sums: float
    later: float
    window: int
    is_over_queries: bool


def summarise(place: AttentionPlace) -> PlaceSummary:
    """Return what is left of a place when its tensors are gone."""
    weights = as_float64(place.weights)  # (H, T, T)
    length = weights.shape[-1]
    later = weights.abs().triu(1).amax() if length > 1 else torch.zeros(())
    looked_at = (weights != 0).sum(dim=-1)  # (H, T)
    widest = int(looked_at.max())
    # Each query of a window has the tokens before it, up to the width of the window.
    is_window = widest < length and torch.equal(
        looked_at, torch.arange(1, length + 1, device=weights.device).clamp(max=widest).expand_as(looked_at)
    )
    return PlaceSummary(
        place.path,
        _looks(place.path, weights, looked_at),
        float((weights.sum(dim=-1) - 1).abs().max()),
        float(later),
        widest if is_window and float(later) == 0 else 0,
        place.is_over_queries,
    )


def _looks(path: str, weights: Tensor, looked_at: Tensor) -> tuple[HeadLook, ...]:
    length = weights.shape[-1]
    if length <= _FIRST_QUERY:
        return tuple(HeadLook(path, number, 0.0, 0.0, 0.0) for number in range(len(weights)))
    previous = weights.diagonal(offset=-1, dim1=-2, dim2=-1)[:, _FIRST_QUERY - 1 :].mean(dim=-1)
    first = weights[:, _FIRST_QUERY:, 0].mean(dim=-1)
    even = (1 / looked_at[:, _FIRST_QUERY:].clamp(min=1)).mean(dim=-1)
    shares = zip(previous.tolist(), first.tolist(), even.tolist(), strict=True)
    return tuple(HeadLook(path, number, *share) for number, share in enumerate(shares))
