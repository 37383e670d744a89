"""`causal`: changing the token at t changes no logits before t."""

from __future__ import annotations

from gptrace.verify.check.blame import blame_leak
from gptrace.verify.check.dependence import measure_dependence, other_id
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, only_if, unjudged
from gptrace.verify.check.subject import distances

_LONGEST = 24
_LATE_CHANGES = 3  # positions that are changed in the longest run


@only_if("is_finite")
def check(experiments: Experiments) -> Finding:
    """Change each token in turn, by two other ids, and compare the logits at the positions before it."""
    subject = experiments.subject
    worst, where, tolerance = 0.0, (0, 0), experiments.tolerance
    lengths = {subject.length, min(subject.context or _LONGEST, _LONGEST)}
    for length in [subject.length] if subject.is_large else sorted(lengths):
        ids = subject.random_ids(1, length)
        before = subject.logits(ids)
        tolerance = max(tolerance, experiments.rounding(before))
        is_every = length == subject.length and not subject.is_large
        steps = 1 if is_every else max(1, length // _LATE_CHANGES)
        for position in range(length - 1, 0, -steps):
            for salt in (0,) if subject.is_large else (0, 1):
                changed = ids.clone()
                changed[0, position] = other_id(subject, ids, position, salt)
                change = distances(subject.logits(changed), before)[0, :position].amax(dim=-1)
                if float(change.max()) > worst:
                    worst, where = float(change.max()), (position, int(change.argmax()))
        if worst > tolerance:
            return _fails(experiments, length, worst, tolerance, where)
    if experiments.may_be_rounding(worst, tolerance):
        return unjudged("rounding", difference=worst)
    return Finding(True, "holds", {}, worst, tolerance)


def _fails(
    experiments: Experiments, length: int, worst: float, tolerance: float, where: tuple[int, int]
) -> Finding:
    subject = experiments.subject
    is_usual = length == subject.length
    dependence = experiments.dependence if is_usual else measure_dependence(subject, length)
    blame = None
    if dependence.logits is not None and dependence.violates(dependence.logits):
        blame = blame_leak(dependence, dependence.logits, subject)
    figures = {"later": where[0], "earlier": where[1], "length": length}
    return Finding(False, "fails", figures, worst, tolerance, blame)
