"""Where the heads of a model look: how much of its weight a head gives to some tokens, on average."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from gptrace.model.quiet_torch import torch
from gptrace.predict.attention.place import AttentionPlace
from gptrace.predict.candidates import as_float64

Tensor = torch.Tensor
ZERO_WEIGHT = 1e-6  # a weight that is no greater counts as none
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


class Masked(Enum):
    """How the weights of later tokens come to be 0."""

    BEFORE_SOFTMAX = auto()  # their scores are −∞, or far below the others
    AFTER_SOFTMAX = auto()  # softmax gives them weights, which are set to 0
    UNKNOWN = auto()  # or they are not 0


@dataclass(frozen=True, slots=True)
class PlaceSummary:
    """A place where a model attends, without its tensors; `call` is the number of the call of its module.

    `sums` is how far the sums of the weights of a query are from 1, and `later` the greatest weight of a
    token that comes after the query. `window` is the number N of tokens that a query looks at, where these
    are the last N ones in every head, and 0 elsewhere. `seen` has for each head how many tokens the last
    query looks at; all heads of all queries look at all earlier tokens where it `sees_all`.
    """

    path: str
    call: int
    heads: tuple[HeadLook, ...]
    sums: float
    later: float
    masked: Masked
    window: int
    seen: tuple[int, ...]
    sees_all: bool
    is_over_queries: bool


def summarise(place: AttentionPlace) -> PlaceSummary:
    """Return what is left of a place when its tensors are gone."""
    weights = as_float64(place.weights)  # (H, T, T)
    later = _greatest_later(weights)
    seen = weights != 0
    counts = seen.sum(dim=-1)  # (H, T)
    widest = int(counts.max())
    earlier = torch.ones_like(seen).tril()
    is_window = widest < len(seen[0]) and torch.equal(seen, earlier.triu(1 - widest))
    return PlaceSummary(
        place.path,
        place.call,
        _looks(place.path, weights, counts),
        float((weights.sum(dim=-1) - 1).abs().max()),
        later,
        _masked(place, later),
        widest if is_window else 0,
        tuple(counts[:, -1].tolist()),
        bool(seen[earlier].all()),
        place.is_over_queries,
    )


def _greatest_later(weights: Tensor) -> float:
    return float(weights.abs().triu(1).amax())


def _masked(place: AttentionPlace, later: float) -> Masked:
    softmax, length = as_float64(place.softmax), place.weights.shape[-1]
    # Among keys that belong to no token, those of the tokens are where the weights are found again.
    parts = [softmax[..., start : start + length] for start in range(softmax.shape[-1] - length + 1)]
    if len(parts) > 1:
        parts = [part for part in parts if torch.equal(part, as_float64(place.weights))]
    if later > ZERO_WEIGHT or not parts or parts[0].shape[-2] != length:
        return Masked.UNKNOWN
    is_before = _greatest_later(parts[0]) <= ZERO_WEIGHT
    return Masked.BEFORE_SOFTMAX if is_before else Masked.AFTER_SOFTMAX


def _looks(path: str, weights: Tensor, looked_at: Tensor) -> tuple[HeadLook, ...]:
    length = weights.shape[-1]
    if length <= _FIRST_QUERY:
        return tuple(HeadLook(path, number, 0.0, 0.0, 0.0) for number in range(len(weights)))
    previous = weights.diagonal(offset=-1, dim1=-2, dim2=-1)[:, _FIRST_QUERY - 1 :].mean(dim=-1)
    first = weights[:, _FIRST_QUERY:, 0].mean(dim=-1)
    even = (1 / looked_at[:, _FIRST_QUERY:].clamp(min=1)).mean(dim=-1)
    shares = zip(previous.tolist(), first.tolist(), even.tolist(), strict=True)
    return tuple(HeadLook(path, number, *share) for number, share in enumerate(shares))
