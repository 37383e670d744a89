"""`start-loss`: with random weights, the loss on random text is near that of guessing, ln(vocab_size)."""

from __future__ import annotations

import math

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.blame import Blame
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, inapplicable, unjudged
from gptrace.verify.check.recorded_run import RecordedOperation, RecordedRun, Value

# Random scores of variance s² add s²/2 to the loss. torch's own initialisation has s² of 1/3; scores with a
# standard deviation of 1.4 add 1 nat. A loss below that of guessing cannot be on random text.
_ABOVE, _BELOW = 1.0, 0.5


def check(experiments: Experiments) -> Finding:
    """Measure the cross-entropy of random ids, on the model at its small size."""
    subject = experiments.subject
    if not subject.is_random:
        return inapplicable("trained")
    if not experiments.is_finite:
        return unjudged("not_finite")
    length = min(subject.context or 16, 16)
    losses = []
    for salt in range(8):
        ids = subject.random_ids(1, length + 1, salt)
        logits = subject.logits(ids[:, :-1], subject.original).double()
        losses.append(float(torch.nn.functional.cross_entropy(logits[0], ids[0, 1:])))
    loss = sum(losses) / len(losses)
    if not math.isfinite(loss):
        return unjudged("infinite")
    count = int((~subject.suppressed).sum())
    expected = math.log(count)
    figures = {"loss": loss, "expected": expected, "vocabulary": count}
    distance = loss - expected
    if -_BELOW <= distance <= _ABOVE:
        return Finding(True, "holds", figures, distance, _ABOVE)
    key = "above" if distance > 0 else "below"
    return Finding(False, key, figures, distance, _ABOVE if distance > 0 else _BELOW, _blame(experiments))


def _blame(experiments: Experiments) -> Blame | None:
    """Return the line that makes the logits."""
    run = experiments.dependence.run
    value = run.logits
    while value is not None and (producers := run.producers(value)):
        operation: RecordedOperation = producers[0]
        names = [_parameter(run, source) for source in operation.inputs]
        if any(names) or not operation.inputs:
            weight = next((name for name in names if name), "")
            key = "tied-scale" if weight in _embeddings(experiments) else "scale"
            return Blame(key, operation.place, operation, operation.path, {"name": weight})
        value = operation.inputs[0]
    return None


def _parameter(run: RecordedRun, value: Value) -> str:
    """Return the name of the parameter that a value is, perhaps turned around; else ""."""
    while not value.origin and (producers := run.producers(value)):
        if producers[0].name not in ("t", "T", "mT", "transpose", "to", "contiguous"):
            return ""
        value = producers[0].inputs[0]
    return value.origin


def _embeddings(experiments: Experiments) -> set[str]:
    return {
        value.origin
        for operation in experiments.dependence.run.operations if operation.name == "embedding"
        for value in operation.inputs if value.origin
    }  # fmt: skip
