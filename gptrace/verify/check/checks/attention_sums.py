"""`attention-sums`: the weights of each query sum to 1 over the keys; scores are scaled by 1/√head_dim."""

from __future__ import annotations

import math
from contextlib import suppress

from gptrace.model.hugging_face import is_hugging_face
from gptrace.model.quiet_torch import torch
from gptrace.verify.check.attention import Attention
from gptrace.verify.check.blame import Blame, blame_axis_of, blamed, is_mask
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, only_if, unjudged
from gptrace.verify.check.recorded_run import RecordedOperation
from gptrace.verify.check.scaling import Scaling, factor_of_steps, scaling_of
from gptrace.verify.check.subject import CannotRunError, rounding

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
    worst, count = max(measured), len(distances)
    if not all(map(_sums_in_use, experiments.attentions)):
        return Finding(True, "each_softmax", {"count": count}, worst, _TOLERANCE)
    known = next((scaling for scaling in scalings if scaling is not None), None)
    if known is None:
        return Finding(True, "sums_hold", {"count": count}, worst, _TOLERANCE)
    usual = _usual_size(known)
    figures = {"count": count, "factor": known.factor, "head_dim": usual}
    return Finding(True, "own_scale" if usual is None else "holds", figures, worst, _TOLERANCE)


def _sums(experiments: Experiments, attention: Attention) -> tuple[Finding | None, float | None]:
    """Add up the weights where a softmax made them, and after each later step that keeps all keys.

    The second is how far the sums are from 1, None where that says nothing.
    """
    if attention.softmax is None:
        return _sums_by_hand(experiments, attention)
    softmax = attention.softmax
    made = softmax.outputs[0]
    if softmax.number not in attention.lanes or _key_axis(attention, softmax) not in (
        experiments.dependence.token_axes(made)
    ):
        # Keys beside those of the tokens, such as a sink, or axes that are not known.
        distance = float((made.tensor.sum(dim=-1) - 1).abs().max())
        return None, distance if distance <= _TOLERANCE else None
    steps = [softmax, *_later_steps(attention, softmax)]
    distances = {step.number: _distance(attention, step) for step in steps}
    tolerance = max(1e-6, rounding(made.tensor, experiments.eps))
    worst = max(distances[softmax.number], distances[steps[-1].number])
    if worst <= tolerance:
        return None, worst
    # What is in between may undo each other, as a logarithm and an exponential.
    step = next(step for step in steps if not distances[step.number] <= tolerance)
    figures = _figures(step.outputs[0].tensor, _key_axis(attention, step))
    blame = blame_axis_of(softmax, attention.lanes) if step is softmax else _blame(experiments, step)
    return Finding(False, "other_sums", figures, worst, tolerance, blame), worst


def _sums_in_use(attention: Attention) -> bool:
    """Tell whether the weights that multiply the values sum to 1 over the keys of the tokens."""
    if attention.weights is None:
        return True  # torch's own function
    lanes = attention.lanes.get(attention.steps[-1].number)
    return lanes is not None and float((attention.weights.tensor.sum(lanes[1]) - 1).abs().max()) <= _TOLERANCE


def _later_steps(attention: Attention, softmax: RecordedOperation) -> list[RecordedOperation]:
    """Return the steps after the softmax that keep all of its weights.

    Where other weights join them, none does: each part may have a factor of its own.
    """
    if attention.is_combined:
        return []
    sizes = sorted(softmax.outputs[0].tensor.shape)
    later = attention.steps[attention.steps.index(softmax) + 1 :]
    return [s for s in later if sorted(s.outputs[0].tensor.shape) == sizes and s.number in attention.lanes]


def _sums_by_hand(experiments: Experiments, attention: Attention) -> tuple[Finding | None, float | None]:
    """Judge weights that no softmax made: they must not sum to 1 over another axis than the keys.

    Weights may also be divided by their sums after they were used, or be no shares at all, as those of a
    sigmoid; such ones sum to 1 over no axis.
    """
    weights = attention.weights
    if attention.product is None:
        return None, 0.0  # torch's own function
    last = attention.steps[-1] if attention.steps else None
    if weights is None or last is None or last.number not in attention.lanes:
        return None, None
    tensor, key_axis = weights.tensor, _key_axis(attention, last)
    tolerance = max(1e-6, rounding(tensor, experiments.eps))
    distances = [float((tensor.sum(dim=axis) - 1).abs().max()) for axis in range(tensor.dim())]
    own = distances.pop(key_axis)
    sizes = [size for axis, size in enumerate(tensor.shape) if axis != key_axis]
    if own <= tolerance:
        return None, own
    if not any(distance <= tolerance for distance, size in zip(distances, sizes, strict=True) if size > 1):
        return None, None
    blame = blame_axis_of(last, attention.lanes)
    return Finding(False, "other_sums", _figures(tensor, key_axis), own, tolerance, blame), own


def _key_axis(attention: Attention, step: RecordedOperation) -> int:
    return attention.lanes[step.number][1]


def _distance(attention: Attention, step: RecordedOperation) -> float:
    """Return how far the sums over the keys are from 1."""
    return float((step.outputs[0].tensor.sum(dim=_key_axis(attention, step)) - 1).abs().max())


def _figures(weights: Tensor, key_axis: int) -> dict[str, object]:
    sums = weights.sum(dim=key_axis)
    return {"least": float(sums.min()), "most": float(sums.max())}


def _blame(experiments: Experiments, step: RecordedOperation) -> Blame:
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
    of_tokens = experiments.dependence.token_axes(scaling.queries)
    sizes = {size for axis, size in enumerate(scaling.queries.tensor.shape) if axis not in of_tokens}
    sizes |= {parameter.shape[-1] for parameter in subject.module.parameters() if parameter.dim()}
    key = next(
        (key for key, value in mistakes.items() if math.isclose(factor, value, rel_tol=_TOLERANCE)), ""
    )
    is_of_size = any(size > 1 and math.isclose(factor, size**-0.5, rel_tol=_TOLERANCE) for size in sizes)
    if not key and (is_of_size or _follows_tokens(experiments, scaling)):
        key = "scaled-by-other-size"
    if not key or (key == "unscaled" and _is_scaled_elsewhere(experiments, scaling)):
        return None
    if scaling.is_normalised and scaling.spread < _LARGE_SPREAD:
        return None  # the product of two vectors of length 1 is small, and √head_dim brings it back
    figures = {"factor": factor, "expected": head_dim**-0.5, "head_dim": head_dim}
    operation = scaling.steps[-1] if scaling.steps else scaling.product
    return Finding(False, "other_scale", figures, factor, _TOLERANCE, blamed(key, operation))


def _follows_tokens(experiments: Experiments, scaling: Scaling) -> bool:
    """Tell whether a factor is one over the root of the number of tokens, and so with one token less."""
    length = experiments.dependence.length
    if not math.isclose(scaling.factor, length**-0.5, rel_tol=_TOLERANCE):
        return False
    with suppress(CannotRunError):
        shorter = experiments.subject.record(experiments.subject.random_ids(1, length - 1))
        factor = factor_of_steps(scaling, shorter)
        return factor is not None and math.isclose(factor, (length - 1) ** -0.5, rel_tol=_TOLERANCE)
    return False


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
