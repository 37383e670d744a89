"""The attention of a forward pass as a page shows it: the weights of each head, in bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from gptrace.model.quiet_torch import torch
from gptrace.predict.attention.heads import summarise
from gptrace.predict.attention.place import AttentionPlace
from gptrace.predict.attention.recorder import AttentionRecorder
from gptrace.predict.candidates import as_float64, rounding_tolerance
from gptrace.predict.page.arrays import weights_array
from gptrace.predict.page.left_out import ViewsLeftOut
from gptrace.record import AttentionMap, HeadWeights

Module = torch.nn.Module
Tensor = torch.Tensor
_ROUNDING = 1e-3  # of weights in a small dtype


def attention_maps(
    module: Module, run: Callable[[], object], length: int, calls: Mapping[tuple[str, int], int],
    left_out: ViewsLeftOut,
) -> tuple[AttentionMap, ...]:  # fmt: skip
    """Run a model by `run` on one prompt of `length` tokens, and return where it attends, in order.

    `calls` has the index of each call, by its path and its number.
    """
    maps: list[AttentionMap] = []

    def receive(place: AttentionPlace) -> None:
        reason = _why_not(place)
        if reason:
            left_out.add("attention", reason)
        else:
            maps.append(_map(place, calls.get((place.path, place.call), 0)))

    recorder = AttentionRecorder(length, receive)
    with recorder.on(module):
        run()
    return tuple(maps)


def _why_not(place: AttentionPlace) -> str:
    """Return the reason why the weights of a place cannot be shown, "" if they can."""
    weights = as_float64(place.weights)
    if not bool(weights.isfinite().all()):
        return f"{place.path} has attention weights that are NaN or infinite"
    if float(weights.min()) < -_ROUNDING or float(weights.max()) > 1 + _ROUNDING:
        return f"{place.path} has attention weights that are not between 0 and 1"
    if place.difference is not None:
        output = place.output if place.output is not None else place.values
        allowed = rounding_tolerance(output.dtype) * max(1.0, float(output.abs().max()))
        if not place.difference <= allowed:
            return (
                f"the weights recomputed for {place.path} do not make what its kernel returned: "
                f"{place.difference:.3g} apart"
            )
    return ""


def _map(place: AttentionPlace, call: int) -> AttentionMap:
    summary = summarise(place)
    is_causal = summary.later == 0
    weights = as_float64(place.weights)  # (H, T, T)
    return AttentionMap(
        path=place.path,
        call=call,
        head_count=len(weights),
        numbers=tuple(range(len(weights))),
        heads=tuple(_head(head, is_causal) for head in weights),
        is_causal=is_causal,
        is_recomputed=place.is_fused,
        difference=place.difference,
        window=summary.window,
    )


def _head(weights: Tensor, is_causal: bool) -> HeadWeights:
    """Return the weights (T, T) of a head."""
    length = len(weights)
    shown = weights[torch.ones(length, length, dtype=torch.bool).tril()] if is_causal else weights
    return HeadWeights(weights_array(shown.clamp(0, 1)), _entropy(weights))


def _entropy(weights: Tensor) -> float:
    """Return the mean entropy of the queries, given their weights (T, T); NaN where these sum to another."""
    if float((weights.sum(dim=-1) - 1).abs().max()) > _ROUNDING:
        return math.nan
    return float(-torch.special.xlogy(weights, weights.clamp(min=1e-300)).sum(dim=-1).mean())
