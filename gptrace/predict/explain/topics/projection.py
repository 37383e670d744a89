"""The output head as a matrix: how a vector of emb_dim numbers becomes vocab_size scores."""

from __future__ import annotations

import math
from typing import cast

from gptrace.model.offloading import numbers_of
from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import as_float64
from gptrace.predict.explain.claims import MeasuredClaim
from gptrace.predict.explain.measured_model import MeasuredModel, largest, largest_difference

Tensor = torch.Tensor
Module = torch.nn.Module
_BY_HAND = 3


def measure(model: MeasuredModel) -> list[MeasuredClaim]:
    """Measure that the head is one matrix product, linear, and limited by the width of its input."""
    if model.head is None or model.head_input is None or model.head_weight is None:
        return [model.claim("no_output_head", None)]
    head = _Head(model, model.head, model.head_input, model.head_weight)
    return [head.matrix_product(), head.dot_product(), head.linear(), head.bottleneck()]


class _Head:
    """The head's input at the last position `x` (D,), its weight W (V, D), its bias (V,) if it has one."""

    def __init__(self, model: MeasuredModel, head: Module, head_input: Tensor, weight: Tensor) -> None:
        self.model, self.module, self.weight = model, head, weight
        self.x = head_input[-1]
        # Another vector: that of the first position, or x backwards where there is one position.
        self.z = head_input[0] if len(head_input) > 1 else self.x.flip(0)
        bias = getattr(head, "bias", None)
        self.bias: Tensor | None = None
        if isinstance(bias, Tensor):
            self.bias = numbers_of(model.module, bias).detach()
        self.scores = self.without_bias(self.x)

    def output(self, vector: Tensor) -> Tensor:
        """Run the head on one vector: (D,) → (V,)."""
        return cast(Tensor, self.module(vector[None, None])[0, 0])

    def without_bias(self, vector: Tensor) -> Tensor:
        """Run the head on one vector, and take its bias away: (D,) → (V,)."""
        return self.output(vector) if self.bias is None else self.output(vector) - self.bias

    def claim(self, key: str, holds: bool, **figures: object) -> MeasuredClaim:
        """Return a claim whose sentence says whether there is a bias."""
        return self.model.claim(key if self.bias is None else f"{key}_with_bias", holds, **figures)

    def matrix_product(self) -> MeasuredClaim:
        """Compare every score of the head with x·Wᵀ + b."""
        product = torch.nn.functional.linear(self.x, self.weight, self.bias)
        errors = (as_float64(product) - as_float64(self.output(self.x))).abs()
        equal = int((errors <= self.model.head_tolerance).sum())
        counts = {"numbers": self.weight.numel(), "equal": equal, "scores": len(errors)}
        width = self.model.width_of(self.x)
        holds = equal == len(errors)
        return self.claim("matrix_product", holds, weight=self.weight, width=width, **counts)

    def dot_product(self) -> MeasuredClaim:
        """Compute the scores of the likeliest tokens by hand, and compare them with the model's logits.

        Where these are something else, the scores of the head are compared, if the logits keep their order.
        """
        logits = self.model.last_logits
        best = logits.topk(min(_BY_HAND, len(logits)))
        products = [self._by_hand(token_id) for token_id in best.indices.tolist()]
        scores = self.output(self.x)
        by_hand = [
            {
                "token": self.model.token(token_id),
                "product": product,
                "logit": logit,
                "head": self.model.structure.head,
                "score": float(scores[token_id]),
            }
            for token_id, product, logit in zip(best.indices, products, best.values.tolist(), strict=True)
        ]
        tolerance = self.model.head_tolerance
        is_logit = max(abs(item["product"] - item["logit"]) for item in by_hand) <= tolerance
        if is_logit and not self._changes_scores():
            return self.claim("dot_product", True, by_hand=by_hand)
        is_product = max(abs(item["product"] - item["score"]) for item in by_hand) <= tolerance
        if is_product and self._keeps_order(scores[: len(logits)], logits):
            return self.claim("dot_product_changed", True, by_hand=by_hand)
        return self.claim("dot_product", False, by_hand=by_hand)

    def _changes_scores(self) -> bool:
        """Tell whether the last logits are not the scores that the head returned for them, to the last digit.

        A cap of large scores changes small ones by less than rounding in a sum.
        """
        returned = self.model.captured.outputs[self.model.structure.head].flatten(0, -2)[-1]
        logits = self.model.last_logits
        rounding = 2 * torch.finfo(logits.dtype).eps * largest(logits)
        return largest_difference(returned[: len(logits)], logits) > rounding

    def _keeps_order(self, scores: Tensor, logits: Tensor) -> bool:
        """Tell whether no logit (V,) is above another whose score is greater by more than rounding.

        A cap may make the logits of many scores equal: none of these is above another.
        """
        by_score = as_float64(scores).sort(descending=True)
        by_logit = by_score.values[logits[by_score.indices].sort(descending=True, stable=True).indices]
        return bool((by_logit.diff() <= self.model.head_tolerance).all())

    def _by_hand(self, token_id: int) -> float:
        pairs = zip(self.x.tolist(), self.weight[token_id].tolist(), strict=True)
        return math.fsum(a * b for a, b in pairs) + (0.0 if self.bias is None else float(self.bias[token_id]))

    def linear(self) -> MeasuredClaim:
        """Compare the scores of 2x and of x + z with those of x and z."""
        x, z = self.x, self.z
        doubling = largest_difference(self.without_bias(2 * x), 2 * self.scores)
        adding = largest_difference(self.without_bias(x + z), self.scores + self.without_bias(z))
        # Up to four roundings add up in a sum of two products.
        holds = max(doubling, adding) <= 4 * self.model.head_tolerance
        return self.claim("linear", holds, doubling=doubling, adding=adding)

    def bottleneck(self) -> MeasuredClaim:
        """Compare the scores with those of the first half of the numbers in x."""
        half = len(self.x) // 2
        halved = self.without_bias(torch.cat([self.x[:half], torch.zeros_like(self.x[half:])]))
        figures = {"vocab_size": len(self.weight), "numbers": len(self.x), "half": half}
        correlation = _correlation(as_float64(halved), as_float64(self.scores))
        if correlation is None:
            return self.model.claim("bottleneck_unmeasured", None, **figures)
        best_of_half = self.model.likeliest(halved if self.bias is None else halved + self.bias)
        best = self.model.likeliest(self.model.logits[-1])
        likeliest = {"best_of_half": best_of_half, "best": best}
        holds = correlation < 1 - 1e-6
        return self.model.claim("bottleneck", holds, correlation=correlation, **figures, **likeliest)


def _correlation(a: Tensor, b: Tensor) -> float | None:
    """Return the correlation coefficient; None for fewer than three numbers, or for equal ones."""
    if len(a) < 3:
        return None
    coefficient = float(torch.corrcoef(torch.stack([a, b]))[0, 1])
    return coefficient if math.isfinite(coefficient) else None
