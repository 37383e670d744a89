"""`attention-sums`: the weights of each query sum to 1 over the keys; scores are scaled by 1/√head_dim."""

from __future__ import annotations

import math

from gptrace.model.hugging_face import is_hugging_face
from gptrace.model.quiet_torch import torch
from gptrace.verify.check.attention import Attention
from gptrace.verify.check.blame import Blame, blamed, is_mask
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, only_if, unjudged
from gptrace.verify.check.recorded_run import RecordedOperation
from gptrace.verify.check.scaling import Scaling, scaling_of
from gptrace.verify.check.subject import rounding

Tensor = torch.Tensor
_TOLERANCE = 1e-3
_LARGE_SPREAD = 2.0  # of the scores of vectors in random directions; 1 is what 1/√head_dim is for


@only_if("is_finite", "is_deterministic")
def check(experiments: Experiments) -> Finding:
    """Add up the weights of each query, and follow the factors on the way from queries and keys to scores."""
    if not experiments.attentions:
        return unjudged("no_attention")
    distances = []
    for attention in experiments.attentions:
        finding, distance = _sums(experiments, attention)
        distances.append(distance)
        if finding is not None:
            return finding
    scalings = []
    for attention in experiments.attentions:
        scaling = scaling_of(experiments, attention)
        wrong = None if scaling is None else _wrong_scale(experiments, scaling)
        if wrong is not None:
            return wrong
        scalings.append(scaling)
    measured = [distance for distance in distances if distance is not None]
    if len(measured) < len(distances):
        return unjudged("own_weights")
    worst = max(measured)
    known = next((scaling for scaling in scalings if scaling is not None), None)
    if known is None:
        return Finding(True, "sums_hold", {"count": len(scalings)}, worst, _TOLERANCE)
    usual = _usual_size(known)
    figures = {"count": len(scalings), "factor": known.factor, "head_dim": usual}
    return Finding(True, "own_scale" if usual is None else "holds", figures, worst, _TOLERANCE)


def _sums(experiments: Experiments, attention: Attention) -> tuple[Finding | None, float | None]:
    """Add up the weights where a softmax made them, and after each later step that keeps all keys.

    The second is how far the sums are from 1, None where that says nothing.
    """
    if attention.softmax is None:
        return _sums_by_hand(experiments, attention)
    softmax = attention.softmax
    first = attention.steps.index(softmax)
    axes = experiments.dependence.token_axes(softmax.outputs[0])
    if len(axes) < 2 or axes[-1] != softmax.outputs[0].tensor.dim() - 1:
        # Keys beside those of the tokens, such as a sink, or another order of axes.
        distance = _distance(softmax)
        return None, distance if distance <= _TOLERANCE else None
    later = [
        step for step in attention.steps[first + 1 :]
        if step.outputs[0].tensor.shape == softmax.outputs[0].tensor.shape
    ]  # fmt: skip
    distances = {step.number: _distance(step) for step in (softmax, *later)}
    tolerance = max(1e-6, rounding(softmax.outputs[0].tensor, experiments.eps))
    last = later[-1] if later else softmax
    worst = max(distances[softmax.number], distances[last.number])
    if worst <= tolerance:
        return None, worst
    # What is in between may undo each other, as a logarithm and an exponential.
    step = next(step for step in (softmax, *later) if not distances[step.number] <= tolerance)
    sums = step.outputs[0].tensor.sum(dim=-1)
    figures = {"least": float(sums.min()), "most": float(sums.max())}
    blame = _blame(experiments, softmax, step)
    return Finding(False, "other_sums", figures, worst, tolerance, blame), worst


def _sums_by_hand(experiments: Experiments, attention: Attention) -> tuple[Finding | None, float | None]:
    """Judge weights that no softmax made: they must not sum to 1 over another axis than the keys.

    Weights may also be divided by their sums after they were used, or be no shares at all, as those of a
    sigmoid; such ones sum to 1 over no axis.
    """
    weights = attention.weights
    if attention.product is None:
        return None, 0.0  # torch's own function
    if weights is None or len(experiments.dependence.token_axes(weights)) < 2 or not attention.steps:
        return None, None
    tensor = weights.tensor
    tolerance = max(1e-6, rounding(tensor, experiments.eps))
    distances = [float((tensor.sum(dim=axis) - 1).abs().max()) for axis in range(tensor.dim())]
    others = [distance for distance, size in zip(distances[:-1], tensor.shape, strict=False) if size > 1]
    if distances[-1] <= tolerance:
        return None, distances[-1]
    if not any(distance <= tolerance for distance in others):
        return None, None
    sums = tensor.sum(dim=-1)
    figures = {"least": float(sums.min()), "most": float(sums.max())}
    blame = blamed("softmax-axis", attention.steps[-1])
    return Finding(False, "other_sums", figures, distances[-1], tolerance, blame), distances[-1]


def _distance(step: RecordedOperation) -> float:
    """Return how far the sums over the keys are from 1."""
    return float((step.outputs[0].tensor.sum(dim=-1) - 1).abs().max())


def _blame(experiments: Experiments, softmax: RecordedOperation, step: RecordedOperation) -> Blame:
    if step is softmax:
        return blamed("softmax-axis", softmax)
    if any(is_mask(experiments.dependence, value) for value in step.inputs):
        return blamed("mask-late", step)
    return blamed("dropout-on" if "dropout" in step.name else "rescaled", step)


def _wrong_scale(experiments: Experiments, scaling: Scaling) -> Finding | None:
    """Return the finding for a factor that is a usual mistake; any other is a scale of the model's own."""
    subject, factor = experiments.subject, scaling.factor
    if is_hugging_face(subject.module) or _usual_size(scaling) is not None or len(scaling.head_dims) > 1:
        return None
    (head_dim,) = scaling.head_dims
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
    if not key or (key == "unscaled" and _is_scaled_elsewhere(experiments, scaling)):
        return None
    if scaling.is_normalised and scaling.spread < _LARGE_SPREAD:
        return None  # the product of two vectors of length 1 is small, and √head_dim brings it back
    figures = {"factor": factor, "expected": head_dim**-0.5, "head_dim": head_dim}
    operation = scaling.steps[-1] if scaling.steps else scaling.product
    return Finding(False, "other_scale", figures, factor, _TOLERANCE, blamed(key, operation))


def _usual_size(scaling: Scaling) -> int | None:
    """Return the head_dim whose inverse root the factor is, or None."""
    return next(
        (size for size in scaling.head_dims if math.isclose(scaling.factor, size**-0.5, rel_tol=_TOLERANCE)),
        None,
    )


def _is_scaled_elsewhere(experiments: Experiments, scaling: Scaling) -> bool:
    """Tell whether queries are normalised, or made smaller than keys by their weights, as in T5.

    Weights that are not random may have been trained without a scale.
    """
    if scaling.is_normalised or not experiments.subject.is_random:
        return True
    queries, keys = (
        value.tensor.double().square().mean().sqrt() for value in (scaling.queries, scaling.keys)
    )
    return bool(queries < 2 * scaling.head_dims[0] ** -0.5 * keys)
