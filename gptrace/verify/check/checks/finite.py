"""`finite`: every logit is finite, apart from ids that have minus infinity at every position."""

from __future__ import annotations

from collections.abc import Iterator

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.blame import Blame, blamed, making_of, mask_before, origin_of
from gptrace.verify.check.dependence import measure_dependence
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, unjudged
from gptrace.verify.check.mask_axes import is_uniform
from gptrace.verify.check.recorded_run import RecordedOperation, RecordedRun, Value
from gptrace.verify.check.subject import CannotRunError, suppressed_in

Tensor = torch.Tensor


def check(experiments: Experiments) -> Finding:
    """Count logits that are not finite, without ids that are suppressed at every position of every text."""
    runs = list(_runs(experiments))
    if not runs:
        return unjudged("not_run")
    suppressed = torch.stack([suppressed for *_, suppressed in runs]).all(dim=0)
    suppressed &= ~suppressed.all()  # then no token has a probability
    for ids, is_infinite, _ in runs:
        count = int((is_infinite & ~suppressed).sum())
        if count:
            figures = {"count": count, "total": is_infinite.numel(), "length": ids.shape[1]}
            return Finding(False, "fails", figures, float(count), 0.0, _blame(experiments, ids, suppressed))
    banned = int(suppressed.sum())
    count = sum(is_infinite[..., ~suppressed].numel() for _, is_infinite, _ in runs)
    figures = {"count": count, "suppressed": banned, "vocabulary": len(suppressed)}
    return Finding(True, "suppressed" if banned else "holds", figures, 0.0, 0.0)


def _runs(experiments: Experiments) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Run random ids (1, T) of several lengths in the dtype of the model.

    Yields the ids, which logits (1, T, V) are not finite, and which ids (V,) are suppressed.
    """
    subject = experiments.subject
    longest = min(subject.context or 24, 24)
    whole = min(len(subject.prompt) or 1, subject.context or len(subject.prompt) or 1)
    for length in sorted({1, subject.length, longest, whole}):
        ids = subject.random_ids(1, length)
        if not subject.prompt:
            ids[0, length // 2] = 0  # the row of a padding token may hold nothing but zeros
        try:
            logits = subject.logits(ids, subject.original)
        except CannotRunError:
            if length == subject.length:
                raise
            continue  # the check of the context says so
        yield ids, ~logits.isfinite(), suppressed_in(logits)


def _blame(experiments: Experiments, ids: Tensor, suppressed: Tensor) -> Blame | None:
    subject = experiments.subject
    run = subject.record(ids, subject.original)
    if run.logits is None:
        return None
    has_nan = bool(run.logits.tensor.isnan().any())

    def is_wrong(value: Value) -> bool:
        if not value.tensor.is_floating_point():
            return False
        wrong = value.tensor.isnan() if has_nan else value.tensor.isinf()
        is_score = wrong.shape[-1:] == suppressed.shape
        return bool(wrong[..., ~suppressed].any() if is_score else wrong.any())

    origin = origin_of(run, run.logits, is_wrong)
    if origin is None:
        return None
    parameter = next((value.origin for value in origin.inputs if value.origin and is_wrong(value)), "")
    if parameter:
        return Blame("nan-weights", origin.place, origin, origin.path, {"name": parameter})
    if any(is_wrong(value) and not value.producers for value in origin.inputs):
        return blamed("takes-nan" if has_nan else "takes-inf", origin)
    if has_nan and "softmax" in origin.name and _has_masked_row(origin):
        return _hiding_mask(experiments, run, origin)
    return blamed("makes-nan" if has_nan else "makes-inf", origin)


def _has_masked_row(softmax: RecordedOperation) -> bool:
    scores = softmax.inputs[0].tensor
    return any(bool((scores == -torch.inf).all(dim=axis).any()) for axis in range(scores.dim()))


def _hiding_mask(experiments: Experiments, run: RecordedRun, softmax: RecordedOperation) -> Blame:
    """Return the line of the mask that hides every key from a query, or of a softmax over another axis."""
    if not bool((softmax.inputs[0].tensor == -torch.inf).all(dim=-1).any()):
        return blamed("softmax-axis", softmax)
    dependence = measure_dependence(experiments.subject)
    same = next((o for o in dependence.run.operations if o.key == softmax.key), None)
    mask, applied = mask_before(dependence, same) if same is not None else (None, None)
    if mask is None or applied is None:
        return blamed("hides-all", softmax)
    # The line after which all that becomes of the mask hides some row, in the constructor too.
    chain = making_of(dependence.run, experiments.subject.construction, mask)
    are_wrong = [_hides_a_row(value.tensor) for value, _ in chain]
    first = next((at for at in range(len(chain)) if all(are_wrong[at:])), None)
    maker = None if first is None else chain[first][1]
    if maker is None or not maker.place.file:
        return blamed("hides-all", applied)
    return Blame("hides-all", maker.place, applied, applied.path)


def _hides_a_row(mask: Tensor) -> bool:
    """Tell whether a mask of ones or of minus infinity hides a whole row, and is not the same everywhere."""
    if mask.dim() < 2 or is_uniform(mask):
        return False
    infinite = mask == -torch.inf
    hidden = infinite if bool(infinite.any()) else mask != 0
    return bool(hidden.all(dim=-1).any())
