"""The rule by which a model makes scores of queries and keys, found from the numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gptrace.model.hugging_face import is_hugging_face
from gptrace.model.quiet_torch import torch
from gptrace.predict.attention.place import AttentionPlace
from gptrace.predict.attention.run import run_with_attention
from gptrace.predict.candidates import as_float64
from gptrace.predict.explain.measured_model import MeasuredModel, largest

Tensor = torch.Tensor
# The standard deviation of the lengths of normalised vectors, as a part of their mean.
_EVEN = 0.03
_SAME_FACTOR = 1e-3
_HIDDEN = -9e3  # a score below this one stands for a hidden token; some masks add -1e4


@dataclass(frozen=True, eq=False)
class ScoreRule:
    """How scores come from the `products` (H, T, T) of queries and keys: times `factor`, as `key` says."""

    key: str
    holds: bool | None
    products: Tensor
    factor: float


def find_score_rule(model: MeasuredModel, place: AttentionPlace, tolerance: float) -> ScoreRule | None:
    """Return the rule; None where scores have keys beside those of the tokens, or none that can be seen.

    `tolerance` is the relative rounding error.
    """
    queries, keys, scores = (as_float64(values) for values in (place.queries, place.keys, place.scores))
    if place.output is None or scores.shape != (len(queries), queries.shape[1], keys.shape[1]):
        return None
    products, seen = _products(place)
    if not bool(seen.any()):
        return None
    usual = queries.shape[-1] ** -0.5
    x, y = products[seen], scores[seen]
    if not bool(x.any()):
        return ScoreRule("attention_scores_zero", None, products, usual)
    factor = _best_factor(x, y)
    terms = (queries.abs() @ keys.abs().mT / abs(place.scale))[seen]
    allowed = tolerance * (max(abs(factor), usual) * largest(terms) + largest(y))
    if "tanh" in place.steps and _keeps_order(x, y, allowed):
        return ScoreRule("attention_scores_bent", True, products, usual)  # a high cap changes next to nothing
    if float((y - factor * x).abs().max()) <= allowed:
        return _by_factor(model, place, products, factor, max(tolerance, _SAME_FACTOR))
    for constant in (usual, place.scale, 1.0):
        rest = torch.where(seen, scores - constant * products, torch.nan)
        if _depends_on_distance_alone(rest, allowed):
            return ScoreRule("attention_scores_distance", True, products, constant)
    if _keeps_order(x, y, allowed):
        return ScoreRule("attention_scores_bent", True, products, usual)
    return ScoreRule("attention_scores_changed", None, products, usual)


def _products(place: AttentionPlace) -> tuple[Tensor, Tensor]:
    """Return the products of queries and keys (H, T, T), and which of their scores tell of the rule."""
    queries, keys, scores = (as_float64(values) for values in (place.queries, place.keys, place.scores))
    # Multiplied by a number before, as by 1/√head_dim, they count without it.
    products = queries @ keys.mT / place.scale
    # Where a mask is missing, or wrong, the scores of later tokens tell nothing of the rule.
    seen = (scores.isfinite() & (scores > _HIDDEN) & (as_float64(place.softmax) != 0)).tril()
    return products, seen


def _best_factor(products: Tensor, scores: Tensor) -> float:
    return float((products * scores).sum()) / max(float((products * products).sum()), 1e-30)


def _keeps_order(products: Tensor, scores: Tensor, allowed: float) -> bool:
    """Tell whether a greater product never has a smaller score."""
    return bool((scores[products.argsort()].diff() >= -allowed).all())


def _by_factor(
    model: MeasuredModel, place: AttentionPlace, products: Tensor, factor: float, precision: float
) -> ScoreRule:
    head_dim = place.queries.shape[-1]
    if math.isclose(factor, head_dim**-0.5, rel_tol=precision):
        return ScoreRule("attention_scores", True, products, factor)
    if _is_mistake(model, place, factor, precision):
        return ScoreRule("attention_scores", False, products, factor)
    return ScoreRule("attention_scores_own_factor", True, products, factor)


def _is_mistake(model: MeasuredModel, place: AttentionPlace, factor: float, precision: float) -> bool:
    """Tell whether a factor is one of the usual mistakes: of another size, or of none.

    Queries of one length may have any factor, and trained weights may have been trained without one.
    """
    lengths = as_float64(place.queries).norm(dim=-1)
    is_normalised = lengths.numel() > 1 and bool(lengths.std() < _EVEN * lengths.mean())
    if is_hugging_face(model.module) or is_normalised:
        return False
    heads, _, head_dim = place.queries.shape
    sizes = {heads, heads * head_dim}
    sizes |= {parameter.shape[-1] for parameter in model.module.parameters() if parameter.dim() > 1}
    mistakes = [head_dim**0.5, 1 / head_dim, *(size**-0.5 for size in sizes if size > 1)]
    if model.loaded.weights.get("source") == "own code" and not _has_small_queries(place):
        mistakes.append(1.0)
    if any(math.isclose(factor, mistake, rel_tol=precision) for mistake in mistakes):
        return True
    return _follows_tokens(model, factor, precision)


def _follows_tokens(model: MeasuredModel, factor: float, precision: float) -> bool:
    """Tell whether a factor is one over the root of the number of tokens, and so with one token less."""
    tokens = model.ids.shape[1]
    if tokens < 2 or not math.isclose(factor, tokens**-0.5, rel_tol=precision):
        return False
    try:
        run = run_with_attention(model.module, model.run, model.ids[:, :-1], lambda place: None)
    except Exception:  # a user's model may take texts of one length alone
        return False
    if run.first is None:
        return False
    products, seen = _products(run.first)
    shorter = _best_factor(products[seen], as_float64(run.first.scores)[seen])
    return math.isclose(shorter, (tokens - 1) ** -0.5, rel_tol=precision)


def _has_small_queries(place: AttentionPlace) -> bool:
    """Tell whether queries are so small that no factor is needed, as their weights are initialised in T5."""
    queries, keys = (as_float64(heads).square().mean().sqrt() for heads in (place.queries, place.keys))
    return bool(queries < 2 * place.queries.shape[-1] ** -0.5 * keys)


def _depends_on_distance_alone(rest: Tensor, allowed: float) -> bool:
    """Tell whether the same was added to scores (H, T, T) wherever a query and a key are as far apart.

    NaN stands for a score that is hidden. One score of each distance would say nothing.
    """
    length, compared = rest.shape[-1], 0
    for offset in range(1 - length, length):
        diagonal = rest.diagonal(offset=offset, dim1=-2, dim2=-1)  # (H, some)
        for values in diagonal:
            known = values[~values.isnan()]
            compared += max(0, len(known) - 1)
            if len(known) and float(known.max() - known.min()) > allowed:
                return False
    return compared > 0
