"""`attention-sums`: the weights of each query sum to 1 over the keys; scores are scaled by 1/√head_dim."""

from __future__ import annotations

import math

from gptrace.model.hugging_face import is_hugging_face
from gptrace.model.quiet_torch import torch
from gptrace.verify.check.attention import Attention
from gptrace.verify.check.blame import Blame, blamed, is_mask
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, unjudged
from gptrace.verify.check.scaling import Scaling, scaling_of
from gptrace.verify.check.subject import rounding

Tensor = torch.Tensor
_TOLERANCE = 1e-3


def check(experiments: Experiments) -> Finding:
    """Add up the weights of each query, and follow the factors on the way from queries and keys to scores."""
    if not experiments.is_finite:
        return unjudged("not_finite")
    if not experiments.attentions:
        return unjudged("no_attention")
    worst = 0.0
    for attention in experiments.attentions:
        finding, distance = _sums(experiments, attention)
        worst = max(worst, distance)
        if finding is not None:
            return finding
    scalings = []
    for attention in experiments.attentions:
        scaling = scaling_of(experiments, attention)
        wrong = None if scaling is None else _wrong_scale(experiments, scaling)
        if wrong is not None:
            return wrong
        scalings.append(scaling)
    known = next((scaling for scaling in scalings if scaling is not None), None)
    if known is None:
        return Finding(True, "sums_hold", {"count": len(scalings)}, worst, _TOLERANCE)
    is_usual = math.isclose(known.factor, known.head_dim**-0.5, rel_tol=_TOLERANCE)
    figures = {"count": len(scalings), "factor": known.factor, "head_dim": known.head_dim}
    return Finding(True, "holds" if is_usual else "own_scale", figures, worst, _TOLERANCE)


def _sums(experiments: Experiments, attention: Attention) -> tuple[Finding | None, float]:
    weights = attention.weights
    if weights is None or weights is not attention.use.inputs[0] or attention.use.name == "einsum":
        weights = weights if attention.softmax is not None else None
        if weights is None:
            return None, 0.0
    tolerance = max(1e-6, rounding(weights.tensor))
    sums = weights.tensor.sum(dim=-1)
    distance = float((sums - 1).abs().max())
    if distance <= tolerance:
        return None, distance
    figures = {"least": float(sums.min()), "most": float(sums.max())}
    return Finding(
        False, "other_sums", figures, distance, tolerance, _blame(experiments, attention)
    ), distance


def _blame(experiments: Experiments, attention: Attention) -> Blame:
    softmax = attention.softmax
    if softmax is None:
        return blamed("no-softmax", attention.use)
    axis = softmax.argument(1, "dim")
    is_last = axis in (-1, softmax.outputs[0].tensor.dim() - 1)
    if not is_last:
        return blamed("softmax-axis", softmax)
    later = attention.steps[attention.steps.index(softmax) + 1 :]
    for step in later:
        if any(is_mask(experiments.dependence, value) for value in step.inputs):
            return blamed("mask-late", step)
        if bool(((step.outputs[0].tensor.sum(dim=-1) - 1).abs() > _TOLERANCE).any()):
            return blamed("dropout-on" if "dropout" in step.name else "rescaled", step)
    return blamed("rescaled", softmax)


def _wrong_scale(experiments: Experiments, scaling: Scaling) -> Finding | None:
    """Return the finding for a factor that is a usual mistake; any other is a scale of the model's own."""
    subject = experiments.subject
    head_dim, factor = scaling.head_dim, scaling.factor
    if is_hugging_face(subject.module) or math.isclose(factor, head_dim**-0.5, rel_tol=_TOLERANCE):
        return None
    mistakes = {
        "unscaled": 1.0,
        "multiplied": head_dim**0.5,
        "not-rooted": 1 / head_dim,
        "scaled-by-dim": head_dim,
    }
    sizes = {scaling.queries.tensor.shape[axis] for axis in range(scaling.queries.tensor.dim() - 1)}
    sizes |= {parameter.shape[-1] for parameter in subject.module.parameters() if parameter.dim()}
    key = next(
        (key for key, value in mistakes.items() if math.isclose(factor, value, rel_tol=_TOLERANCE)), ""
    )
    if not key and any(size > 1 and math.isclose(factor, size**-0.5, rel_tol=_TOLERANCE) for size in sizes):
        key = "scaled-by-other-size"
    if not key or (key == "unscaled" and scaling.is_normalised):
        return None
    figures = {"factor": factor, "expected": head_dim**-0.5, "head_dim": head_dim}
    operation = scaling.steps[-1] if scaling.steps else scaling.product
    return Finding(False, "other_scale", figures, factor, _TOLERANCE, blamed(key, operation))
