"""`padding`: padding changes nothing at real positions; on the left, where forward takes a mask for it."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.blame import Blame, blame_leak, blamed, making_of, mask_before, origin_of
from gptrace.verify.check.dependence import differs
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, only_if, unjudged
from gptrace.verify.check.recorded_run import Value
from gptrace.verify.check.subject import CannotRunError, largest_difference, rounding

Tensor = torch.Tensor
_MASK = "attention_mask"


@only_if("is_finite", "is_deterministic")
def check(experiments: Experiments) -> Finding:
    """Pad on the right with several ids; where forward takes a mask, change the ids of masked padding."""
    subject = experiments.subject
    length = subject.length
    real = max(1, length - 2)
    ids = subject.random_ids(1, length)
    alone = subject.logits(ids[:, :real])
    tolerance = experiments.rounding(alone)
    worst = 0.0
    for pad in (0, subject.ids_below - 1):
        padded = torch.cat([ids[:, :real], torch.full((1, length - real), pad)], dim=1)
        try:
            worst = max(worst, largest_difference(subject.logits(padded)[:, :real], alone))
        except CannotRunError as error:
            return unjudged("not_run", error)
    if worst > tolerance:
        return Finding(
            False, "right", {}, worst, tolerance, _leak(experiments) or _blame_right(experiments, ids, real)
        )
    if experiments.may_be_rounding(worst, tolerance):
        return unjudged("rounding", difference=worst)
    if _MASK not in subject.parameters_of_forward:
        return Finding(True, "holds", {}, worst, tolerance)
    return _masked(experiments, ids, worst, tolerance)


def _masked(experiments: Experiments, ids: Tensor, worst: float, tolerance: float) -> Finding:
    """Change the ids of padding on the left that the mask hides; the real positions must not notice."""
    subject, pads = experiments.subject, 2
    mask = torch.ones_like(ids)
    mask[:, :pads] = 0
    other = ids.clone()
    other[:, :pads] = (other[:, :pads] + subject.ids_below // 2) % subject.ids_below
    try:
        # In the model's own dtype, since masks are filled with numbers that belong to it.
        first, second = (subject.logits(row, subject.original, {_MASK: mask}) for row in (ids, other))
    except CannotRunError as error:
        return unjudged("mask_not_run", error)
    tolerance = max(tolerance, rounding(first))
    change = largest_difference(first[:, pads:], second[:, pads:])
    if change > tolerance:
        return Finding(False, "left", {}, change, tolerance, _blame(experiments, ids, other, mask, pads))
    return _moved(experiments, ids, mask, max(worst, change), tolerance)


def _moved(experiments: Experiments, ids: Tensor, mask: Tensor, worst: float, tolerance: float) -> Finding:
    """Compare the real tokens behind padding with the same tokens alone: their positions must be the same."""
    subject, pads = experiments.subject, int((mask == 0).sum())
    arguments = {_MASK: mask}
    if "position_ids" in subject.parameters_of_forward:
        arguments["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    alone_run = subject.record(ids[:, pads:], subject.original)
    run = subject.record(ids, subject.original, arguments)
    if run.logits is None or alone_run.logits is None:
        return Finding(True, "mask_holds", {}, worst, tolerance)
    change = largest_difference(run.logits.tensor[:, pads:], alone_run.logits.tensor)
    if change <= tolerance:
        return Finding(True, "mask_holds", {}, max(worst, change), tolerance)
    alone = alone_run.values_by_key()

    def is_wrong(value: Value) -> bool | None:
        eps = torch.finfo(torch.float32).eps
        return _differs_without_pads(value, alone.get(value.key), pads, eps, pads_are_first=True)

    origin = origin_of(run, run.logits, is_wrong)
    blame = None if origin is None else blamed("padding-positions", origin)
    return Finding(False, "moved", {}, change, tolerance, blame)


def _differs_without_pads(
    value: Value, alone: Value | None, pads: int, eps: float, *, pads_are_first: bool
) -> bool | None:
    """Tell whether a value, without the lanes of padding, differs from that of the real tokens alone.

    Returns None where the two have other shapes.
    """
    if alone is None or alone.tensor.dim() != value.tensor.dim():
        return None
    part = value.tensor
    for axis, (size, real) in enumerate(zip(part.shape, alone.tensor.shape, strict=True)):
        if size - real not in (0, pads):
            return None
        part = part.narrow(axis, size - real if pads_are_first else 0, real)
    return bool(differs(part, alone.tensor, eps).any())


def _leak(experiments: Experiments) -> Blame | None:
    dependence = experiments.dependence
    if dependence.logits is None or not dependence.violates(dependence.logits):
        return None
    return blame_leak(dependence, dependence.logits, experiments.subject)


def _blame_right(experiments: Experiments, ids: Tensor, real: int) -> Blame | None:
    """Compare the run with padding with that of the real tokens alone."""
    whole = experiments.subject.record(ids)
    alone = experiments.subject.record(ids[:, :real]).values_by_key()
    pads = ids.shape[1] - real

    def is_wrong(value: Value) -> bool | None:
        other = alone.get(value.key)
        return _differs_without_pads(value, other, pads, experiments.eps, pads_are_first=False)

    if whole.logits is None:
        return None
    origin = origin_of(whole, whole.logits, is_wrong)
    return None if origin is None else blamed("length-matters", origin)


def _blame(experiments: Experiments, ids: Tensor, other: Tensor, mask: Tensor, pads: int) -> Blame | None:
    subject, dependence = experiments.subject, experiments.dependence
    run = subject.record(ids, subject.original, {_MASK: mask})
    others = subject.record(other, subject.original, {_MASK: mask}).values_by_key()

    def is_wrong(value: Value) -> bool | None:
        twin = others.get(value.key)
        if twin is None or twin.tensor.shape != value.tensor.shape:
            return None
        axes = dependence.token_axes(value)
        real = differs(value.tensor, twin.tensor)
        for axis in axes:
            real = real.narrow(axis, pads, real.shape[axis] - pads)
        return bool(real.any()) if axes else False

    if run.logits is None:
        return None
    origin = origin_of(run, run.logits, is_wrong)
    if origin is None:
        return None
    same = next((other for other in dependence.run.operations if other.key == origin.key), origin)
    hiding, applied = mask_before(dependence, same)
    if hiding is None or applied is None:
        return blamed("padding-seen", origin)
    makers = [
        maker for _, maker in making_of(dependence.run, subject.construction, hiding) if maker is not None
    ]
    elsewhere = [maker for maker in makers if maker.place.line != applied.place.line]
    return blamed("padding-seen", (elsewhere or [applied])[-1])
