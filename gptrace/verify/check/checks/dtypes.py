"""`dtypes`: in float32 and in bfloat16 the model gives the same logits, within what rounding explains."""

from __future__ import annotations

from gptrace.model.dtypes import dtype_name
from gptrace.model.quiet_torch import torch
from gptrace.verify.check.blame import Blame, blamed, origin_of
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, only_if, unjudged
from gptrace.verify.check.recorded_run import Value
from gptrace.verify.check.subject import CannotRunError, largest_difference
from gptrace.verify.check.variants import in_dtype

Tensor = torch.Tensor
Module = torch.nn.Module
_COARSE, _FINE = torch.bfloat16, torch.float32
# Rounding grows with the number of operations; it is measured in float32, and scaled to bfloat16.
_MARGIN = 8
_LEAST = 8  # units in the last place of the largest logit


@only_if("is_finite", "is_deterministic")
def check(experiments: Experiments) -> Finding:
    """Run a copy in each dtype; the difference of float32 to float64 tells how far rounding reaches."""
    subject = experiments.subject
    ids = subject.random_ids(min(2, subject.most_prompts), subject.length)
    found: dict[torch.dtype, Tensor] = {}
    for dtype in (_FINE, _COARSE, torch.float64):
        try:
            module = in_dtype(subject, dtype)
        except CannotRunError as error:
            return unjudged("not_run", error)
        try:
            found[dtype] = subject.logits(ids, module).double()
        except CannotRunError as error:
            if dtype is torch.float64:
                continue  # then the margin alone is what rounding may explain
            return unjudged("refused", error, dtype=dtype_name(dtype))
    fine, coarse = found[_FINE], found[_COARSE]
    by_rounding = largest_difference(fine, found.get(torch.float64, fine))
    ratio = torch.finfo(_COARSE).eps / torch.finfo(_FINE).eps
    least = _LEAST * torch.finfo(_COARSE).eps * float(fine[fine.isfinite()].abs().max())
    tolerance = max(least, _MARGIN * ratio * by_rounding)
    difference = largest_difference(fine, coarse)
    figures = {"difference": difference}
    if difference <= tolerance:
        return Finding(True, "holds", figures, difference, tolerance)
    return Finding(False, "fails", figures, difference, tolerance, _blame(experiments, ids))


def _blame(experiments: Experiments, ids: Tensor) -> Blame | None:
    """Return the first operation that is far from what it is in float32."""
    subject = experiments.subject
    run = subject.record(ids, in_dtype(subject, _COARSE))
    others = subject.record(ids, in_dtype(subject, _FINE)).values_by_key()

    def is_wrong(value: Value) -> bool | None:
        other = others.get(value.key)
        if other is None or other.tensor.shape != value.tensor.shape:
            return None
        if not other.tensor.is_floating_point():
            return not torch.equal(value.tensor, other.tensor)
        mine, theirs = (tensor.double().nan_to_num() for tensor in (value.tensor, other.tensor))
        return bool((mine - theirs).abs().max() > theirs.abs().max() / 4) if mine.numel() else False

    origin = None if run.logits is None else origin_of(run, run.logits, is_wrong)
    return None if origin is None else blamed("loses-precision", origin)
