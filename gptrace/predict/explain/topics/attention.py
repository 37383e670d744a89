"""Attention: queries, keys, scores, mask, weights, values, the heads joined, and what the heads look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from gptrace.model.quiet_torch import torch
from gptrace.predict.attention.heads import ZERO_WEIGHT, HeadLook, Masked, PlaceSummary, summarise
from gptrace.predict.attention.place import AttentionPlace
from gptrace.predict.attention.run import AttentionRun, run_with_attention
from gptrace.predict.candidates import as_float64, rounding_tolerance
from gptrace.predict.explain.claims import MeasuredClaim
from gptrace.predict.explain.measured_model import MeasuredModel, largest, largest_difference
from gptrace.predict.explain.score_rule import find_score_rule

Tensor = torch.Tensor
_MOST_TOKENS = 6
# A head that looks at a token stands out where it gives it this many times what sharing evenly would.
_STANDS_OUT = 1.5
_MASKS = {
    Masked.BEFORE_SOFTMAX: "attention_mask",
    Masked.AFTER_SOFTMAX: "attention_mask_after",
    Masked.UNKNOWN: "attention_mask_unknown",
}


def measure(model: MeasuredModel) -> list[MeasuredClaim]:
    """Measure each step at the first place where the model attends, and the heads of all places."""
    run = run_with_attention(model.module, model.run, model.ids, summarise)
    # Weights that were joined of several have more heads than the queries of one of these.
    if run.first is None or len(run.first.weights) != len(run.first.queries):
        count = run.other_count + len(run.places)
        return [model.claim("attention_of_others" if count else "no_attention", None, count=count)]
    attention = _Attention(model, run, run.first)
    claims = [attention.place_claim(), attention.queries()]
    if claims[-1].holds is False:
        return claims  # what stands at a position is no token, so nothing can be said of tokens
    return [
        *claims, attention.scores(), *attention.mask(), attention.normalised(), attention.mixed_values(),
        attention.joined(), *attention.looks(),
    ]  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Attention:
    """A run of the model, and the first place where it attends."""

    model: MeasuredModel
    run: AttentionRun[PlaceSummary]
    place: AttentionPlace

    @property
    def length(self) -> int:
        return self.model.ids.shape[1]

    @property
    def tolerance(self) -> float:
        """The relative rounding error of the least precise tensor of the place."""
        place = self.place
        tensors = (place.queries, place.keys, place.values, place.scores, place.weights)
        return max(self.model.tolerance, *(rounding_tolerance(tensor.dtype) for tensor in tensors))

    def claim(self, key: str, holds: bool | None, /, **figures: object) -> MeasuredClaim:
        """Return a claim, whose sentence may name the place, and its numbers of heads and of tokens."""
        place = self.place
        heads, tokens, head_dim = place.queries.shape
        shared = {
            "place": place.path, "count": len(self.run.places), "heads": heads, "tokens": tokens,
            "head_dim": head_dim, "score_shape": (1, heads, tokens, tokens),
            "head_total": sum(len(summary.heads) for summary in self.run.places),
        }  # fmt: skip
        return self.model.claim(key, holds, **shared | figures)

    def place_claim(self) -> MeasuredClaim:
        """Say what goes in: a vector for each token of each text."""
        block = next(iter(self.model.structure.blocks), "")
        vectors = self.model.captured.first_inputs.get(block)
        if vectors is None or vectors.shape[:2] != self.model.ids.shape:
            return self.claim("attention_ids", True)
        return self.claim("attention", True, vectors=vectors, numbers=vectors.shape[-1])

    def queries(self) -> MeasuredClaim:
        """Compare queries, keys and values with those of the text with another last token."""
        place = self.place
        shapes = {
            name: (1, *heads.shape)
            for name, heads in (("queries", place.queries), ("keys", place.keys), ("values", place.values))
        }
        kind, counts = self._kind_of_heads()
        difference = self._change_with_other_last()
        if difference is None:
            return self.claim(f"attention_queries{kind}", True, **shapes, **counts)
        holds = difference <= self._allowed_change
        key = f"attention_queries{kind}_measured" if holds else "attention_queries_mixed"
        return self.claim(key, holds, **shapes, **counts, difference=difference)

    def _kind_of_heads(self) -> tuple[str, dict[str, object]]:
        """Return which sentence is true of the heads: there is one, or some have keys or values in common."""
        key_heads, value_heads = (_distinct(heads) for heads in (self.place.keys, self.place.values))
        counts: dict[str, object] = {"key_heads": key_heads, "value_heads": value_heads}
        heads = len(self.place.keys)
        if heads == 1:
            return "_one_by_one" if self._has_neighbours() else "_one", counts
        if key_heads == heads == value_heads:
            return "", counts
        return "_shared" if key_heads == value_heads else "_shared_apart", counts

    def _has_neighbours(self) -> bool:
        """Tell whether the model attends again in the same call of the block; outside of blocks, anywhere."""
        path = self.place.path
        block = next((b for b in self.model.structure.blocks if f"{path}.".startswith(f"{b}.")), "")
        near = [
            summary for summary in self.run.places
            if f"{summary.path}.".startswith(f"{block}." if block else "")
            and summary.call == self.place.call
        ]  # fmt: skip
        return len(near) > 1

    def _change_with_other_last(self) -> float | None:
        """Return how much they change at the other tokens; None where that is unknown."""
        changed = self._with_other_last
        if changed is None or changed.first is None:
            return None
        place, other = self.place, changed.first
        pairs = [(place.queries, other.queries), (place.keys, other.keys), (place.values, other.values)]
        if any(heads.shape != others.shape for heads, others in pairs):
            return None
        change = max(largest_difference(heads[:, :-1], others[:, :-1]) for heads, others in pairs)
        return None if change > self._allowed_change and self._is_random() else change

    @property
    def _allowed_change(self) -> float:
        place = self.place
        return self.tolerance * max(map(largest, (place.queries, place.keys, place.values)))

    def _is_random(self) -> bool:
        again = run_with_attention(self.model.module, self.model.run, self.model.ids, summarise)
        return again.first is None or not torch.equal(again.first.queries, self.place.queries)

    @cached_property
    def _with_other_last(self) -> AttentionRun[PlaceSummary] | None:
        """The run with another last token; None where there is no such run.

        A text of another length would not do: the model may take texts of one length alone, such as one
        that takes heads for tokens and runs only where there are as many.
        """
        if self.length < 2:
            return None
        ids = self.model.ids.clone()
        ids[0, -1] += -1 if ids[0, -1] else 1
        try:
            return run_with_attention(self.model.module, self.model.run, ids, summarise)
        except Exception:  # a user's model may raise anything for an id
            return None

    def scores(self) -> MeasuredClaim:
        """Compute a score by hand, and find the rule by which all scores come from queries and keys."""
        place = self.place
        is_seen = not place.is_fused or self.mixed_values().holds
        rule = find_score_rule(self.model, place, self.tolerance) if is_seen else None
        if rule is None:
            return self.claim("attention_scores_unmeasured", None)
        row = torch.where(place.weights[0, -1] != 0, place.scores[0, -1], -torch.inf)
        others = row[:-1] if len(row) > 1 and bool(row[:-1].isfinite().any()) else row
        key_at = int(others.argmax())
        dot = float(rule.products[0, -1, key_at])
        ids = self.model.ids[0]
        figures = {
            "query": self.model.token(ids[-1]), "key": self.model.token(ids[key_at]),
            "dot": dot, "factor": rule.factor, "by_hand": dot * rule.factor,
            "score": float(place.scores[0, -1, key_at]), "usual": place.queries.shape[-1] ** -0.5,
        }  # fmt: skip
        seen = "_fused" if place.is_fused and rule.holds and rule.key == "attention_scores" else ""
        return self.claim(f"{rule.key}{seen}", rule.holds, **figures)

    def mask(self) -> list[MeasuredClaim]:
        """Say which tokens a query looks at: never a later one, and maybe not all of those before it."""
        if self.length == 1:
            return [self.claim("attention_mask_unmeasured", None)]
        places = self.run.places
        later = max(summary.later for summary in places)
        looking = sum(summary.later > ZERO_WEIGHT for summary in places)
        if looking:
            return [self._looking(looking, later)]
        ways = {summary.masked for summary in places}
        key = _MASKS[ways.pop() if len(ways) == 1 else Masked.UNKNOWN]
        return [self.claim(key, True, later=later), *self._windows(), *self._holes()]

    def _looking(self, looking: int, later: float) -> MeasuredClaim:
        """Tell whether it matters to the logits that some queries look at later tokens."""
        changed = self._with_other_last
        rows = None if changed is None else changed.logits[0]
        if rows is None or len(rows) != self.length:
            return self.claim("attention_mask_elsewhere", None, looking=looking, later=later)
        leak = largest_difference(rows[:-1], self.model.logits[:-1])
        holds = leak <= self.model.logit_tolerance
        key = "attention_mask_elsewhere" if holds else "attention_mask"
        return self.claim(key, None if holds else False, looking=looking, later=later, leak=leak)

    def _windows(self) -> list[MeasuredClaim]:
        """Say how many tokens a query looks at where these are the last ones alone."""
        counts = Counter(summary.window for summary in self.run.places if summary.window)
        sizes = [
            {"window": window, "places": counts[window], "count": len(self.run.places)}
            for window in sorted(counts)
        ]
        return [self.claim("attention_window", True, sizes=sizes)] if sizes else []

    def _holes(self) -> list[MeasuredClaim]:
        """Say how many tokens the last query looks at where these are others than all, or the last ones."""
        places = [summary for summary in self.run.places if not summary.window and not summary.sees_all]
        if not places:
            return []
        seen = [number for summary in places for number in summary.seen]
        ends = [{"number": number} for number in sorted({min(seen), max(seen)})]
        return [self.claim("attention_holes", True, seen=ends, places=len(places))]

    def normalised(self) -> MeasuredClaim:
        """Add up the weights of each query."""
        place, sums = self.place, max(summary.sums for summary in self.run.places)
        figures = {"sums": sums, "rows": self.length, "looks": self._looks_of_last()}
        allowed = max(1e-5, self.tolerance)
        if any(summary.is_over_queries for summary in self.run.places):
            return self.claim("attention_weights", None if self.length == 1 else False, **figures)
        if sums <= allowed:
            return self.claim("attention_weights", True, **figures)
        softmax = as_float64(place.softmax)
        if float((softmax.sum(dim=-1) - 1).abs().max()) > allowed:
            return self.claim("attention_weights_unmeasured", None, **figures)
        if softmax.shape[-1] > self.length:
            more = softmax.shape[-1] - self.length
            return self.claim("attention_weights_sink", True, **figures, more=more)
        if softmax.shape == place.weights.shape and _is_masked_late(softmax, as_float64(place.weights)):
            return self.claim("attention_weights", False, **figures, because="late")
        return self.claim("attention_weights_changed", True, **figures)

    def _looks_of_last(self) -> list[dict[str, object]]:
        row = as_float64(self.place.weights)[0, -1]
        best = row.topk(min(_MOST_TOKENS, len(row)))
        positions = sorted(zip(best.indices.tolist(), best.values.tolist(), strict=True))
        return [
            {"token": self.model.token(self.model.ids[0, position]), "share": share}
            for position, share in positions
        ]

    def mixed_values(self) -> MeasuredClaim:
        """Add up the values by their weights, and compare the sums with what the heads return."""
        place = self.place
        if place.output is None:
            return self.claim("attention_values_unmeasured", None)
        weights, values = as_float64(place.weights), as_float64(place.values)
        difference = largest_difference(weights @ values, place.output)
        holds = difference <= self.tolerance * largest(weights.abs() @ values.abs())
        figures = {"values": (1, *values.shape), "output": (1, *place.output.shape)}
        if not holds:
            return self.claim("attention_values_unmeasured", None)
        key = "attention_values_fused" if place.is_fused else "attention_values"
        return self.claim(key, True, **figures, difference=difference)

    def joined(self) -> MeasuredClaim:
        """Compare the row of each token in what the next layer takes with the numbers of its heads."""
        place, joined = self.place, self.place.joined
        heads = (
            None if place.output is None else as_float64(place.output).transpose(0, 1).flatten(1)
        )  # (T, H·v)
        if heads is None or joined is None or joined.numel() != heads.numel():
            return self.claim("attention_joined_unmeasured", None)
        rows = as_float64(joined).reshape(self.length, -1)
        allowed = self.tolerance * largest(heads)
        numbers = (values.flatten().sort().values for values in (rows, heads))
        if largest_difference(*numbers) > allowed:
            return self.claim("attention_joined_unmeasured", None)
        holds = largest_difference(rows.sort().values, heads.sort().values) <= allowed
        total = heads.shape[1]
        shapes = {"joined": (1, self.length, total), "each": total // len(place.weights), "total": total}
        projected = place.projected
        if projected is None or projected.shape[-1] != self._width:
            return self.claim("attention_joined", holds, **shapes)
        return self.claim(
            "attention_projected", holds, **shapes, projected=(1, self.length, projected.shape[-1])
        )

    @property
    def _width(self) -> int:
        block = next(iter(self.model.structure.blocks), self.model.structure.head)
        vectors = self.model.captured.first_inputs.get(block)
        return 0 if vectors is None else vectors.shape[-1]

    def looks(self) -> list[MeasuredClaim]:
        """Say which head gives the most to the token before, and which to the first token."""
        source = self.model.loaded.weights.get("source")
        if self.length < 3:
            return [self.claim("attention_looks_unmeasured", None)]
        if source == "random":
            return [self.claim("attention_noise", None)]
        trained = "" if source in ("package", "pretrained", "file", "hugging_face") else "_unknown"
        if trained:
            return [self.claim("attention_noise_unknown", None), self._previous(), self._first()]
        return [self._previous(), self._first()]

    def _previous(self) -> MeasuredClaim:
        return self._strongest("attention_previous", lambda look: look.previous)

    def _first(self) -> MeasuredClaim:
        return self._strongest("attention_first", lambda look: look.first)

    def _strongest(self, key: str, share: Callable[[HeadLook], float]) -> MeasuredClaim:
        looks = [look for summary in self.run.places for look in summary.heads]
        best = max(looks, key=share)
        stands_out = share(best) >= _STANDS_OUT * best.even
        figures = {"look": best, "share": share(best), "looked": self.length - 2}
        return self.claim(key if stands_out else f"{key}_weak", True if stands_out else None, **figures)


def _distinct(heads: Tensor) -> int:
    """Return how many of the heads (H, T, d) differ from each other; zeros tell nothing of what is shared."""
    return len(torch.unique(as_float64(heads).flatten(1), dim=0)) if bool(heads.any()) else len(heads)


def _is_masked_late(softmax: Tensor, weights: Tensor) -> bool:
    """Tell whether some of the weights were set to 0 after softmax, and the others left as they were."""
    dropped = (weights == 0) & (softmax != 0)
    return bool(dropped.any()) and torch.equal(torch.where(dropped, weights, softmax), weights)
