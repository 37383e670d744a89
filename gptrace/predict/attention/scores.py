"""What is known of a tensor of scores, and the place where the weights made of it are used on values."""

from __future__ import annotations

from dataclasses import dataclass

from gptrace.model.quiet_torch import torch
from gptrace.predict.attention.axes import Axes
from gptrace.predict.attention.place import AttentionPlace
from gptrace.predict.attention.products import Product, arranged, sizes_of

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class Scores:
    """How a tensor of scores or weights was made.

    `axes` are those of the result of `product` that its own were. `scores` is what went into softmax and
    `softmax` what came out, whose axes are `softmax_axes`; it ran over the axis `summed` of the product.
    `steps` are the names of the operations between the product and softmax.
    """

    product: Product
    scale: float
    axes: Axes
    scores: Tensor | None = None
    softmax: Tensor | None = None
    softmax_axes: Axes = ()
    summed: int | None = None
    steps: frozenset[str] = frozenset()


def place_of(
    path: str, use: Product, scores: Scores, length: int, growing: frozenset[int] | None = None
) -> AttentionPlace | None:
    """Return the place where weights (the left factor) are used on values; None if these are no tokens.

    `growing` are the axes of the weights that follow the number of tokens, None where these are not known.
    """
    axis_of = use.letters[0].index
    use = use.without_repeated()
    of_weights, of_values, of_result = use.letters
    key = use.summed
    if len(key) != 1:
        return None
    sizes = sizes_of(use)
    # Values that all heads share lack the axis of heads, too, which may be as long as that of the queries.
    as_long = [letter for letter in of_weights if letter not in of_values and sizes[letter] == length]
    if growing is not None:
        as_long = [letter for letter in as_long if {axis_of(letter), axis_of(key)} <= growing]
    if not as_long or len(as_long) > 1 < length:
        return None
    query = as_long[0]
    heads = "".join(letter for letter in of_weights if letter not in (key, query))
    wide = "".join(letter for letter in of_values if letter not in heads + key)
    if sizes[key] != length or scores.scores is None or scores.softmax is None:
        return None
    weights = _flat(arranged(use.left, of_weights, heads + query + key, sizes), 2)
    values = _flat(arranged(use.right, of_values, heads + key + wide, sizes), 2)
    output = _flat(arranged(use.result, of_result, heads + query + wide, sizes), 2)
    # The axes of the weights need not be those of the scores, which may have been transposed since.
    query_axis, key_axis = (scores.axes[axis_of(letter)] for letter in (query, key))
    if query_axis is None or key_axis is None or not {query_axis, key_axis} <= {*scores.softmax_axes}:
        return None
    places = [scores.softmax_axes.index(axis) for axis in (query_axis, key_axis)]
    before, after = (_flat(tensor.movedim(places, (-2, -1)), 2) for tensor in (scores.scores, scores.softmax))
    queries, keys = _queries_and_keys(scores.product, query_axis, key_axis)
    if before.shape[-2] != length or before.shape[0] != len(queries):
        return None
    return AttentionPlace(
        path, queries, keys, values, before, after, weights, output, scale=scores.scale,
        is_over_queries=scores.summed == query_axis, steps=scores.steps,
    )  # fmt: skip


def _queries_and_keys(product: Product, query_axis: int, key_axis: int) -> tuple[Tensor, Tensor]:
    """Return the factors of scores as (H, T, d) each, given their axes in the result."""
    result = product.letters[2]
    product = product.without_repeated()
    query, key = result[query_axis], result[key_axis]
    if query not in product.letters[0]:
        product = product.swapped()
    heads = "".join(letter for letter in result if letter not in (query, key))
    sizes = sizes_of(product)
    left, right, _ = product.letters
    return (
        _flat(arranged(product.left, left, heads + query + product.summed, sizes), 2),
        _flat(arranged(product.right, right, heads + key + product.summed, sizes), 2),
    )


def _flat(tensor: Tensor, kept: int) -> Tensor:
    """Merge all axes before the last ones: (…, T, d) → (H, T, d)."""
    return tensor.detach().reshape(-1, *tensor.shape[-kept:])
