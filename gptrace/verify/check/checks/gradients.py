"""`gradients`: each trainable parameter gets a gradient, and it is that of the loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.blame import Blame, blamed
from gptrace.verify.check.checks.all_used import unused_modules
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, unjudged
from gptrace.verify.check.recording import RecordedOperation, RecordedRun, Recorder, find_place_of_class
from gptrace.verify.check.source_code import definition_of
from gptrace.wording import enumerated

Tensor = torch.Tensor
_DIRECTIONS = 3
_STEP = 1e-6
_AGREEMENT = 1e-3


def check(experiments: Experiments) -> Finding:
    """Run backward, and compare the gradients with finite differences along random directions."""
    if not experiments.is_finite:
        return unjudged("not_finite")
    module = experiments.subject.module
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if not parameters:
        return unjudged("frozen")
    with _roughened(parameters):
        return _judged(experiments, parameters)


def _judged(experiments: Experiments, parameters: dict[str, Any]) -> Finding:
    run, gradients = _gradients(experiments, parameters)
    if not gradients:
        return Finding(False, "no_graph", {}, blame=_lost(experiments, run, []))
    infinite = [name for name, gradient in gradients.items() if not bool(gradient.isfinite().all())]
    if infinite:
        blame = Blame(
            "nan-gradient", definition_of(experiments.subject.module, infinite[0]), path=infinite[0]
        )
        return Finding(False, "not_finite_gradient", {"names": enumerated(infinite, 3)}, blame=blame)
    unused = unused_modules(experiments)
    missing = [
        name for name in parameters
        if not (name in gradients and bool(gradients[name].any()))
        and not any(name.startswith(path + ".") for path in unused)
    ]  # fmt: skip
    if missing:
        unread = [name for name in missing if name not in _read(run)]
        names = {"names": enumerated(missing, 3), "count": len(missing)}
        return Finding(False, "missing", names, len(missing), 0, _lost(experiments, run, unread or missing))
    return _finite_differences(experiments, parameters, run)


@contextmanager
def _roughened(parameters: dict[str, Any]) -> Iterator[None]:
    """Move the parameters a little in the block: a layer that starts at 0 lets no gradient pass."""
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in parameters.values():
            scale = 0.02 * max(1e-2, float(parameter.abs().mean())) if parameter.numel() else 0.0
            noise = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
            parameter.add_(noise, alpha=scale if bool(parameter.any()) else 0.02)
    try:
        yield
    finally:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(before[name])


def _gradients(experiments: Experiments, parameters: dict[str, Any]) -> tuple[RecordedRun, dict[str, Tensor]]:
    """Record a run, and return the gradients of two prompts together; none where the loss has no graph."""
    subject = experiments.subject
    runs, gradients = [], dict[str, Tensor]()
    for salt in range(2):
        ids = subject.random_ids(3, subject.length, 20 + salt)
        recorder = Recorder(subject.module)
        with subject.running(gradients=True):
            with recorder.on(subject.module):
                output = subject.call(ids)
            logits = subject.logits_in(output, ids)
            recorder.run.logits = recorder.value_of(logits)
            runs.append(recorder.run)
            for name, gradient in _derived(_loss(logits, ids), parameters).items():
                gradients[name] = gradients.get(name, 0) + gradient
    return runs[0], gradients


def _derived(loss: Tensor, parameters: dict[str, Any]) -> dict[str, Tensor]:
    if not loss.requires_grad:
        return {}
    found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return {name: gradient for name, gradient in zip(parameters, found, strict=True) if gradient is not None}


def _loss(logits: Tensor, ids: Tensor) -> Tensor:
    rows = logits[:, :-1].reshape(-1, logits.shape[-1])
    return torch.nn.functional.cross_entropy(rows, ids[:, 1:].reshape(-1))


def _finite_differences(experiments: Experiments, parameters: dict[str, Any], run: RecordedRun) -> Finding:
    subject = experiments.subject
    if not experiments.is_precise or next(iter(parameters.values())).dtype != torch.float64:
        return Finding(True, "holds_without_differences", {"count": len(parameters)})
    ids = subject.random_ids(3, subject.length, 20)
    with subject.running(gradients=True):
        gradients = _derived(_loss(subject.logits_in(subject.call(ids), ids), ids), parameters)
    generator, distances = torch.Generator().manual_seed(11), []
    for _ in range(_DIRECTIONS):
        direction = {n: torch.randn(p.shape, generator=generator).to(p.dtype) for n, p in parameters.items()}
        by_gradient = sum(float((gradient * direction[name]).sum()) for name, gradient in gradients.items())
        above, below = (_moved(experiments, parameters, direction, ids, step) for step in (_STEP, -_STEP))
        measured = (above - below) / (2 * _STEP)
        distances.append(abs(by_gradient - measured) / max(abs(by_gradient), abs(measured), 1e-6))
    # A kink, such as that of a ReLU, may lie on one of the ways.
    distance = min(distances)
    if distance <= _AGREEMENT:
        return Finding(True, "holds", {"count": len(parameters)}, distance, _AGREEMENT)
    return Finding(False, "other_gradient", {}, distance, _AGREEMENT, _lost(experiments, run, []))


def _moved(
    experiments: Experiments, parameters: dict[str, Any], direction: dict[str, Tensor], ids: Tensor,
    step: float,
) -> float:  # fmt: skip
    """Return the loss with the parameters moved a step in a direction; they are put back."""
    subject = experiments.subject
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.add_(direction[name], alpha=step)
    try:
        with subject.running():
            return float(_loss(subject.logits_in(subject.call(ids), ids), ids))
    finally:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(before[name])


def _read(run: RecordedRun) -> set[str]:
    """Return the names of the parameters that an operation took."""
    return {value.origin for operation in run.operations for value in operation.inputs if value.origin}


def _lost(experiments: Experiments, run: RecordedRun, missing: list[str]) -> Blame | None:
    """Return the operation that lost the graph, or the parameter that no operation takes."""
    losing = [operation for operation in run.operations if _loses_graph(operation)]
    reached = [operation for operation in losing if _is_upstream(run, operation)]
    if reached or losing:
        return blamed("detached", (reached or losing)[0])
    for operation in run.operations:
        for value in operation.inputs:
            if value.maker is not None:
                return Blame("custom-backward", find_place_of_class(value.maker), operation, operation.path)
    if missing:
        place = definition_of(experiments.subject.module, missing[0])
        path = missing[0].rpartition(".")[0]
        return Blame("parameter-unread", place, path=path, details={"name": missing[0]})
    return None


def _loses_graph(operation: RecordedOperation) -> bool:
    takes = any(value.requires_grad and value.tensor.is_floating_point() for value in operation.inputs)
    makes = [value for value in operation.outputs if value.tensor.is_floating_point()]
    return takes and bool(makes) and not any(value.requires_grad for value in makes)


def _is_upstream(run: RecordedRun, operation: RecordedOperation) -> bool:
    """Tell whether the logits are made of what an operation returned."""
    reached = {operation.number}
    for later in run.operations[operation.number + 1 :]:
        if any(reached.intersection(value.producers) for value in later.inputs):
            reached.add(later.number)
    return run.logits is None or bool(reached.intersection(run.logits.producers))
