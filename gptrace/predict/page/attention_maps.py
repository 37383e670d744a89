"""The attention of a prompt as a page shows it: the weights of each head, in bytes."""

from __future__ import annotations

import math
from collections.abc import Callable

from gptrace.errors import RunError
from gptrace.model.quiet_torch import torch
from gptrace.predict.attention.heads import summarise
from gptrace.predict.attention.place import AttentionPlace
from gptrace.predict.attention.run import AttentionRun, run_with_attention
from gptrace.predict.candidates import as_float64, rounding_tolerance
from gptrace.predict.open_calls import CallOf
from gptrace.predict.page.arrays import weights_array
from gptrace.predict.page.subject import Subject
from gptrace.record import AttentionMap, HeadWeights
from gptrace.text.prompts import Prompt

Tensor = torch.Tensor
# A larger map is too fine to see, and the weights of all heads would take much memory.
MOST_TOKENS = 512
_ROUNDING = 1e-3  # of weights in a small dtype


def attention_maps(subject: Subject, prompt: Prompt) -> tuple[AttentionMap, ...]:
    """Return the attention of each place in the model, in order; none where no attention is found."""
    name, length = subject.loaded.name, len(prompt.tokens)
    with subject.left_out.where_impossible("attention"):
        if length > MOST_TOKENS:
            problem = f"a prompt has {length} tokens; attention is shown up to {MOST_TOKENS}"
            raise RunError(problem, "give a shorter text")
        maps, left_out, other_count = _run(subject, prompt)
        for reason in left_out:
            subject.left_out.add("attention", reason)
        if not maps and not left_out and not other_count:
            raise RunError(f"no attention is found in {name}", "gptrace run shows what it has")
        if other_count:
            subject.left_out.add(
                "attention",
                f"the attention weights in {other_count} places of {name} could not be read as one query and "
                f"one key for each of its {length} tokens",
            )
        return tuple(maps)
    return ()


def _run(subject: Subject, prompt: Prompt) -> tuple[list[AttentionMap], list[str], int]:
    """Return the maps, the reasons why others cannot be shown, and the number of other places."""

    def shown(place: AttentionPlace) -> AttentionMap | str:
        return _why_not(place) or _map(place, subject.index_of(CallOf(place.path, place.call)))

    def follow(run: Callable[[Tensor], object], ids: Tensor) -> AttentionRun[AttentionMap | str]:
        return run_with_attention(subject.loaded.module, run, ids, shown)

    followed = subject.run_alone(prompt, follow)
    maps = [place for place in followed.places if isinstance(place, AttentionMap)]
    reasons = [place for place in followed.places if isinstance(place, str)]
    return maps, reasons, followed.other_count


def _why_not(place: AttentionPlace) -> str:
    """Return the reason why the weights of a place cannot be shown, "" if they can."""
    weights = as_float64(place.weights)
    if not bool(weights.isfinite().all()):
        return f"{place.path} has attention weights that are NaN or infinite"
    if float(weights.min()) < -_ROUNDING or float(weights.max()) > 1 + _ROUNDING:
        return f"{place.path} has attention weights that are not between 0 and 1"
    if place.difference is not None:
        output = place.values if place.output is None else place.output
        allowed = rounding_tolerance(output.dtype) * max(1.0, float(output.abs().max()))
        if not place.difference <= allowed:
            return (
                f"the weights recomputed for {place.path} do not give the output of its kernel: "
                f"the two differ by {place.difference:.3g}"
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
    shown = weights[torch.ones_like(weights, dtype=torch.bool).tril()] if is_causal else weights
    return HeadWeights(weights_array(shown.clamp(0, 1)), _entropy(weights))


def _entropy(weights: Tensor) -> float:
    """Return the mean entropy of the queries, given their weights (T, T); NaN if these do not sum to 1."""
    if float((weights.sum(dim=-1) - 1).abs().max()) > _ROUNDING:
        return math.nan
    entropy = -torch.special.xlogy(weights, weights.clamp(min=1e-300)).sum(dim=-1).mean()
    return max(0.0, float(entropy))
