"""`positions-matter`: with the same token everywhere, positions still differ, in logits or scores."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.attention import FUSED, Attention
from gptrace.verify.check.dependence import Dependence
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, only_if, unjudged
from gptrace.verify.check.lost_positions import LostPositions
from gptrace.verify.check.recorded_run import Value, ValueKey
from gptrace.verify.check.subject import largest_difference

Tensor = torch.Tensor


@only_if("is_finite")
def check(experiments: Experiments) -> Finding:
    """Repeat one token, and compare the scores that a query gives to keys; without attention, the logits."""
    subject = experiments.subject
    run = subject.record(torch.full((1, subject.length), int(experiments.ids[0, 0])))
    if run.logits is None:
        return unjudged("no_attention")
    if not experiments.attentions:
        rows = run.logits.tensor[0]
        difference, tolerance = largest_difference(rows, rows[:1]), experiments.rounding(rows)
        is_different = difference > tolerance
        return Finding(True, "holds", {}, difference, tolerance) if is_different else unjudged("no_attention")
    values = run.values_by_key()
    by_key, spread, least = 0.0, 0.0, experiments.tolerance
    keys = 0  # the most that one query sees
    for attention in experiments.attentions:
        scores = _scores(experiments.dependence, attention, values)
        if scores is None:
            return unjudged("unknown_scores")
        seen = [row[: i + 1][row[: i + 1].isfinite() & (row[: i + 1] > -1e4)] for i, row in enumerate(scores)]
        by_key = max([by_key, *(float(row.max() - row.min()) for row in seen if row.numel())])
        keys = max([keys, *map(len, seen)])
        whole = torch.cat(seen)
        spread = max(spread, float(whole.max() - whole.min()) if whole.numel() else 0.0)
        least = max(least, experiments.rounding(whole))
    lost = LostPositions(experiments, run)
    if by_key > least:
        repeated = lost.repeated(values)
        if repeated is not None:
            return Finding(False, "repeat", {}, blame=repeated)
        return Finding(True, "scores_differ", {}, by_key, least)
    if keys < 2:
        return unjudged("no_two_keys")
    if experiments.may_be_rounding(by_key, least):
        return unjudged("rounding", difference=by_key)
    if spread > least:
        return Finding(False, "keys_equal", {}, by_key, least, lost.of_keys())
    return Finding(False, "fails", {}, spread, least, lost.of_all())


def _scores(dependence: Dependence, attention: Attention, values: dict[ValueKey, Value]) -> Tensor | None:
    """Return the scores (T, T) of the first head before the softmax, or None where they cannot be read."""
    queries, keys = values.get(attention.queries.key), values.get(attention.keys.key)
    if attention.product is None:
        if queries is None or keys is None:
            return None
        lanes = [dependence.token_axes(value)[:1] for value in (attention.queries, attention.keys)]
        if not all(lanes) or queries.tensor.dim() < 3:
            return None
        # The first head alone: there may be fewer heads of keys than of queries.
        first_queries, first_keys = (
            value.tensor.movedim(axis[0], -2).flatten(0, -3)[0]
            for value, axis in zip((queries, keys), lanes, strict=True)
        )
        scores = first_queries @ first_keys.T
        mask = attention.use.argument(3, "attn_mask") if attention.use.name in FUSED[:1] else None
        if isinstance(mask, Value) and mask.tensor.is_floating_point():
            if mask.key not in values or mask.tensor.shape[-2:] != scores.shape:
                return None
            scores = scores + values[mask.key].tensor.reshape(-1, *scores.shape)[0]
        return scores
    softmax = next((step for step in attention.steps if "softmax" in step.name or step.name == "exp"), None)
    step = softmax or (attention.steps or (attention.product,))[-1]
    taken = attention.weights if softmax is None else softmax.inputs[0]
    value = None if taken is None else values.get(taken.key)
    axes = attention.lanes.get(step.number)
    if value is None or axes is None:
        return None
    scores = value.tensor.movedim(axes, (-2, -1)).flatten(0, -3)[0]
    return scores[: dependence.length, -dependence.length :]
