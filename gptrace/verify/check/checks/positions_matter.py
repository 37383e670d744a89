"""`positions-matter`: with the same token everywhere, positions still differ, in logits or scores."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.attention import Attention
from gptrace.verify.check.blame import Blame
from gptrace.verify.check.checks.all_used import unused_modules
from gptrace.verify.check.dependence import Dependence, coordinates
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, unjudged
from gptrace.verify.check.recording import RecordedRun, Value, ValueKey

Tensor = torch.Tensor


def check(experiments: Experiments) -> Finding:
    """Repeat one token, and compare the logits of the positions, and the scores that queries give to keys."""
    subject = experiments.subject
    if not experiments.is_finite:
        return unjudged("not_finite")
    ids = torch.full((1, subject.length), int(experiments.ids[0, 0]))
    run = subject.record(ids)
    if run.logits is None:
        return unjudged("no_attention")
    rows = run.logits.tensor[0]
    difference = float((rows - rows[:1]).abs().max())
    tolerance = experiments.rounding(rows)
    if difference > tolerance:
        return Finding(True, "holds", {}, difference, tolerance)
    if not experiments.attentions:
        return unjudged("no_attention")
    values = {value.key: value for value in run.values()}
    spread, least = 0.0, tolerance
    for attention in experiments.attentions:
        scores = _scores(experiments.dependence, attention, values)
        if scores is None:
            return unjudged("unknown_scores")
        if scores.numel():
            spread = max(spread, float(scores.max() - scores.min()))
            least = max(least, experiments.rounding(scores))
    if spread > least:
        return Finding(True, "scores_differ", {}, spread, least)
    return Finding(False, "fails", {}, spread, least, _blame(experiments, run))


def _scores(dependence: Dependence, attention: Attention, values: dict[ValueKey, Value]) -> Tensor | None:
    """Return the scores (H, N) of the first head for the keys that queries may see, before the softmax."""
    queries, keys = values.get(attention.queries.key), values.get(attention.keys.key)
    if attention.product is None:
        if queries is None or keys is None or queries.tensor.shape[-2] != keys.tensor.shape[-2]:
            return None
        # The first head alone: there may be fewer heads of keys than of queries.
        first_queries, first_keys = (value.tensor.flatten(0, -3)[0] for value in (queries, keys))
        scores = first_queries @ first_keys.T
        mask = attention.use.argument(3, "attn_mask")
        if isinstance(mask, Value) and mask.tensor.is_floating_point():
            if mask.key not in values or mask.tensor.shape[-2:] != scores.shape:
                return None
            scores = scores + values[mask.key].tensor.reshape(-1, *scores.shape)[0]
        axes = [0, 1]
    else:
        softmax = next(
            (step for step in attention.steps if "softmax" in step.name or step.name == "exp"), None
        )
        taken = attention.weights if softmax is None else softmax.inputs[0]
        value = None if taken is None else values.get(taken.key)
        if taken is None or value is None:
            return None
        scores, axes = value.tensor, dependence.token_axes(taken)[-2:]
    seen = coordinates(scores, axes[1]) <= coordinates(scores, axes[0])
    first_head = torch.ones_like(seen)
    for axis in range(scores.dim()):
        if axis not in axes:
            first_head &= coordinates(scores, axis) == 0
    chosen = scores[seen & first_head]
    return chosen[chosen.isfinite() & (chosen > -1e4)]


def _blame(experiments: Experiments, run: RecordedRun) -> Blame:
    """Return where positions get lost: a table that is not used, or where tokens enter without one."""
    unused = [path for path in unused_modules(experiments) if "pos" in path.rpartition(".")[2]]
    for operation in run.operations:
        made = operation.outputs[0]
        is_lookup = operation.name == "embedding" and not experiments.dependence.depends(made)
        if is_lookup and made.tensor.dim() >= 2:
            return Blame("positions-equal", operation.place, operation, operation.path)
    for operation in run.operations:
        if operation.name == "embedding":
            key = "positions-unused" if unused else "no-positions"
            return Blame(
                key, operation.place, operation, operation.path, {"name": unused[0] if unused else ""}
            )
    return Blame("no-positions", run.operations[0].place)
