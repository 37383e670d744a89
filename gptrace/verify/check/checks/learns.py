"""`learns`: a copy of the model can learn one batch by heart, in a bounded number of steps."""

from __future__ import annotations

from typing import Any, NamedTuple

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.backward import BackwardError, gradients_of, loss_of, raises_in_training
from gptrace.verify.check.blame import Blame, blamed
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, inapplicable, only_if, unjudged
from gptrace.verify.check.source_code import definition_of

Tensor = torch.Tensor
_ROWS = 3
# One rate suits most models: a model that is right learns with one of the three.
_RATES = (3e-3, 1e-2, 3e-4)
_STEPS, _STEPS_OF_LARGE = 150, 40
_DECAYS = (0.9, 0.999)
# A model that still learns after that gets more steps: it is slow, not wrong.
_MOST_STEPS, _LOOKED_BACK, _STILL_FALLING = 500, 30, 0.9
_ENOUGH = 0.1  # of the loss at the start
# What can hold scores in so narrow a range that no token gets a probability near 1.
_BOUNDING = ("softmax", "sigmoid", "tanh", "clamp", "hardtanh", "softsign", "normalize", "cos", "sin")


class _Training(NamedTuple):
    """The losses of one training, and the largest change of each parameter in it."""

    losses: list[float]
    changes: dict[str, float]

    @property
    def least(self) -> float:
        return min(self.losses)


@only_if("is_finite")
def check(experiments: Experiments) -> Finding:
    """Train on one batch whose tokens all differ, so that each is known by the one before; then undo it."""
    try:
        return _checked(experiments)
    except BackwardError as error:
        if raises_in_training(experiments.subject):
            return Finding(False, "raises", {})
        return unjudged("failed", error.__cause__)


def _checked(experiments: Experiments) -> Finding:
    subject = experiments.subject
    parameters = {name: p for name, p in subject.module.named_parameters() if p.requires_grad}
    if not parameters:
        return inapplicable("frozen")
    best: _Training | None = None
    for rate in _RATES[:1] if subject.is_large else _RATES:
        training = _train(experiments, parameters, rate)
        if training is None:
            return Finding(False, "no_graph", {})
        best = training if best is None or training.least < best.least else best
        if best.least <= _ENOUGH * best.losses[0]:
            break
    assert best is not None
    start, least = best.losses[0], best.least
    figures = {"start": start, "loss": least, "steps": best.losses.index(least)}
    if least <= _ENOUGH * start:
        return Finding(True, "holds", figures, least, _ENOUGH * start)
    if subject.is_large:
        return unjudged("not_yet", **figures)
    return Finding(False, "fails", figures, least, _ENOUGH * start, _blame(experiments, best))


def _batch(experiments: Experiments) -> Tensor:
    """Return ids (B, T) in which no token comes twice, as far as the vocabulary allows."""
    subject = experiments.subject
    length = subject.length
    rows = max(1, min(_ROWS, len(subject.predicted_ids) // length))
    return subject.random_ids(1, rows * length, 40).view(rows, length)


def _train(experiments: Experiments, parameters: dict[str, Any], rate: float) -> _Training | None:
    """Train, and put the parameters back; None where the loss does not depend on them."""
    subject = experiments.subject
    ids = _batch(experiments)
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    optimizer = _Adam(parameters, rate)
    losses: list[float] = []
    try:
        with subject.running(gradients=True):
            while True:
                loss = loss_of(subject.logits_in(subject.call(ids), ids), ids)
                if not loss.requires_grad:
                    return None
                losses.append(float(loss.detach()))
                if _is_over(losses, subject.is_large):
                    break
                optimizer.step(loss)
        changes = {n: float((p.detach() - before[n]).abs().max()) for n, p in parameters.items()}
    finally:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(before[name])
    finite = [loss for loss in losses if loss == loss]
    return _Training(finite or [float("inf")], changes)


class _Adam:
    """The optimizer Adam. That of torch imports its compiler, which takes seconds."""

    def __init__(self, parameters: dict[str, Any], rate: float) -> None:
        self._parameters, self._rate, self._steps = list(parameters.values()), rate, 0
        self._moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in self._parameters]

    def step(self, loss: Tensor) -> None:
        """Move the parameters against the gradient of a loss."""
        gradients = gradients_of(loss, self._parameters)
        self._steps += 1
        first, second = (1 - decay**self._steps for decay in _DECAYS)
        with torch.no_grad():
            for parameter, gradient, (mean, square) in zip(
                self._parameters, gradients, self._moments, strict=True
            ):
                if gradient is not None:
                    mean.lerp_(gradient, 1 - _DECAYS[0])
                    square.mul_(_DECAYS[1]).addcmul_(gradient, gradient, value=1 - _DECAYS[1])
                    parameter.addcdiv_(mean, (square / second).sqrt_() + 1e-8, value=-self._rate / first)


def _is_over(losses: list[float], is_large: bool) -> bool:
    """Tell whether a training is over: the last loss is low enough, or NaN, or there were enough steps."""
    steps = len(losses) - 1
    if not losses[-1] > _ENOUGH * losses[0] or steps >= _MOST_STEPS:
        return True
    if is_large:
        return steps >= _STEPS_OF_LARGE
    return steps >= _STEPS and not losses[-1] < _STILL_FALLING * losses[-_LOOKED_BACK]


def _blame(experiments: Experiments, training: _Training) -> Blame | None:
    """Return the line that bounds the scores, or that defines a parameter which did not change."""
    run = experiments.dependence.run
    value = run.logits
    while value is not None and (producers := run.producers(value)):
        operation = producers[0]
        if any(part in operation.name for part in _BOUNDING):
            return blamed("bounded-scores", operation)
        if any(source.origin for source in operation.inputs) or not operation.inputs:
            break
        value = operation.inputs[0]
    still = next((name for name, change in training.changes.items() if not change), "")
    if not still:
        return None
    place, path = definition_of(experiments.subject.module, still), still.rpartition(".")[0]
    return Blame("not-trained", place, path=path, details={"name": still})
