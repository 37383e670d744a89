"""`logits`: what forward returns are scores, not probabilities or their logarithms."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.blame import Blame, blamed
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, only_if

_NAMES = ("softmax", "log_softmax", "logsumexp", "sigmoid", "div", "log")
_TOLERANCE = 1e-3


@only_if("is_finite")
def check(experiments: Experiments) -> Finding:
    """Sum each row of the output, and the exponentials of each row."""
    logits = experiments.logits
    sums = logits.sum(dim=-1)
    if float(logits.min()) >= 0 and bool(((sums - 1).abs() < _TOLERANCE).all()):
        return Finding(False, "probabilities", {}, float(sums.mean()), _TOLERANCE, _blame(experiments))
    finite = logits[logits.isfinite()]
    exponentials = torch.logsumexp(logits.double(), dim=-1)
    if float(logits.max()) <= 0 and bool((exponentials.abs() < _TOLERANCE).all()):
        return Finding(
            False, "log_probabilities", {}, float(exponentials.exp().mean()), _TOLERANCE, _blame(experiments)
        )
    return Finding(True, "holds", {"least": float(finite.min()), "most": float(finite.max())})


def _blame(experiments: Experiments) -> Blame | None:
    run = experiments.dependence.run
    for operation in reversed(run.operations):
        size = operation.outputs[0].tensor.shape[-1:] if operation.outputs else ()
        if operation.name in _NAMES and size == experiments.logits.shape[-1:]:
            return blamed("softmax-inside", operation)
    return None
