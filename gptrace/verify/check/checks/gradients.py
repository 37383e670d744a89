"""`gradients`: each trainable parameter gets a gradient, and it is that of the loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.backward import (
    BackwardError,
    gradients_of,
    loss_of,
    overwriting,
    raises_in_training,
)
from gptrace.verify.check.blame import Blame, blamed
from gptrace.verify.check.checks.all_used import unused_modules
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, inapplicable, only_if, unjudged
from gptrace.verify.check.other_outputs import is_of_another_output, other_outputs
from gptrace.verify.check.places import find_place_of_class
from gptrace.verify.check.recorded_run import RecordedOperation, RecordedRun, ValueKey
from gptrace.verify.check.recording import Recorder
from gptrace.verify.check.source_code import definition_of, last_return
from gptrace.wording import enumerated

Tensor = torch.Tensor
_DIRECTIONS = 3
_STEP = 1e-6
_AGREEMENT = 1e-3
_ROUNDING_ERRORS = 50  # of a loss
_PROMPTS = 6  # with fewer, some parameters, such as those of an expert, may have no gradient
_STEPS, _RATE = 3, 0.1  # of training
_NOTHING = 1e-13  # of the largest gradient


@only_if("is_finite")
def check(experiments: Experiments) -> Finding:
    """Run backward, and compare the gradients with finite differences along random directions."""
    try:
        return _checked(experiments)
    except BackwardError as error:
        raised = error.__cause__
        if not raises_in_training(experiments.subject):
            return unjudged("failed", raised)
        is_overwritten = "modified by an inplace operation" in str(raised)
        blame = overwriting(experiments.subject) if is_overwritten else None
        key = "raises" if blame is None else "overwritten"
        return Finding(False, key, blame=blame, raised=raised)


def _checked(experiments: Experiments) -> Finding:
    module = experiments.subject.module
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if not parameters:
        return inapplicable("frozen")
    stuck = _stuck(experiments)
    if stuck:
        construction = experiments.subject.construction
        made = construction.made.get(stuck[0])
        makers = [] if made is None else construction.run.producers(made)
        place = makers[0].place if makers else definition_of(module, stuck[0])
        blame = Blame("stuck", place, path=stuck[0].rpartition(".")[0], details={"name": stuck[0]})
        names = {"names": enumerated(stuck, 3), "count": len(stuck)}
        return Finding(False, "missing", names, len(stuck), 0, blame)
    with _roughened(parameters):
        return _judged(experiments, parameters)


def _stuck(experiments: Experiments) -> list[str]:
    """Return the parameters that are 0 with a gradient of 0, and stay so in some steps of training.

    A layer that starts at 0 passes no gradient on, but it gets one itself.
    """
    subject, module = experiments.subject, experiments.subject.original
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    stuck = [name for name, parameter in parameters.items() if not bool(parameter.any())]
    try:
        for salt in range(_STEPS if stuck else 0):
            ids = subject.random_ids(subject.most_prompts, subject.length, 30 + salt)
            with subject.running(module, gradients=True):
                loss = loss_of(subject.logits_in(subject.call(ids, module), ids), ids)
                gradients = _derived(loss, parameters)
            stuck = [name for name in stuck if name in gradients and not bool(gradients[name].any())]
            with torch.no_grad():
                for name, gradient in gradients.items():
                    parameters[name].sub_(gradient, alpha=_RATE)
    finally:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(before[name])
    return stuck


def _judged(experiments: Experiments, parameters: dict[str, Any]) -> Finding:
    run, gradients, flow = _gradients(experiments, parameters)
    if not gradients:
        return Finding(False, "no_graph", {}, blame=_without_graph(run))
    infinite = [name for name, gradient in gradients.items() if not bool(gradient.isfinite().all())]
    if infinite:
        place = definition_of(experiments.subject.module, infinite[0])
        blame = _stopping(run, flow) or Blame("nan-gradient", place, path=infinite[0])
        return Finding(False, "not_finite_gradient", {"names": enumerated(infinite, 3)}, blame=blame)
    unused = unused_modules(experiments)
    least = _NOTHING * max(float(gradient.abs().max()) for gradient in gradients.values())
    missing = [
        name for name in parameters
        if _is_missing(experiments, gradients.get(name), least)
        and not any(name.startswith(path + ".") for path in unused)
        and not is_of_another_output(run, name)
    ]  # fmt: skip
    if missing:
        names = {"names": enumerated(missing, 3), "count": len(missing)}
        reason = _missing(experiments, run, flow, missing)
        return Finding(False, "missing", names, len(missing), 0, reason)
    return _finite_differences(experiments, parameters, run)


def _is_missing(experiments: Experiments, gradient: Tensor | None, least: float) -> bool:
    """Tell whether a parameter has no gradient, or a matrix one that is nothing but rounding.

    A bias of the keys has such a gradient in every right model: it shifts all scores of a query alike.
    """
    if gradient is None or not bool(gradient.any()):
        return True
    return experiments.is_precise and gradient.dim() > 1 and float(gradient.abs().max()) < least


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


def _gradients(
    experiments: Experiments, parameters: dict[str, Any]
) -> tuple[RecordedRun, dict[str, Tensor], dict[ValueKey, Tensor]]:
    """Record a run, and return the gradients of some batches together, and those of the values in the run.

    There are none where the loss has no graph.
    """
    subject = experiments.subject
    runs, gradients, flow = [], dict[str, Tensor](), dict[ValueKey, Tensor]()
    for salt in range(-(-_PROMPTS // subject.most_prompts)):
        ids = subject.random_ids(subject.most_prompts, subject.length, 20 + salt)
        recorder = Recorder(subject.module)
        with subject.running(gradients=True):
            with recorder.on(subject.module):
                output = subject.call(ids)
            logits = subject.logits_in(output, ids)
            recorder.run.logits = recorder.value_of(logits)
            recorder.run.other_outputs = other_outputs(recorder, output, logits, ids)
            runs.append(recorder.run)
            loss = loss_of(logits, ids)
            made = recorder.made_with_gradient()
            for name, gradient in _derived(loss, {**parameters, **made}).items():
                if isinstance(name, str):
                    gradients[name] = gradients.get(name, 0) + gradient
                elif not salt:
                    flow[name] = gradient
    return runs[0], gradients, flow


def _derived(loss: Tensor, parameters: dict[Any, Any]) -> dict[Any, Tensor]:
    if not loss.requires_grad:
        return {}
    found = gradients_of(loss, list(parameters.values()))
    return {name: gradient for name, gradient in zip(parameters, found, strict=True) if gradient is not None}


def _finite_differences(experiments: Experiments, parameters: dict[str, Any], run: RecordedRun) -> Finding:
    subject = experiments.subject
    if not experiments.is_precise or next(iter(parameters.values())).dtype != torch.float64:
        return Finding(True, "holds_without_differences", {"count": len(parameters)})
    ids = subject.random_ids(subject.most_prompts, subject.length, 20)
    with subject.running(gradients=True):
        gradients = _derived(loss_of(subject.logits_in(subject.call(ids), ids), ids), parameters)
    generator, distances = torch.Generator().manual_seed(11), []
    for _ in range(_DIRECTIONS):
        direction = {n: torch.randn(p.shape, generator=generator).to(p.dtype) for n, p in parameters.items()}
        by_gradient = sum(float((gradient * direction[name]).sum()) for name, gradient in gradients.items())
        above, below = (_moved(experiments, parameters, direction, ids, step) for step in (_STEP, -_STEP))
        measured = (above - below) / (2 * _STEP)
        rounding = _ROUNDING_ERRORS * torch.finfo(torch.float64).eps * max(1.0, abs(above)) / _STEP
        apart = max(0.0, abs(by_gradient - measured) - rounding)
        distances.append(apart / max(abs(by_gradient), abs(measured), 1e-6))
    # A kink, such as that of a ReLU, may lie on one of the ways.
    distance = min(distances)
    if distance <= _AGREEMENT:
        return Finding(True, "holds", {"count": len(parameters)}, distance, _AGREEMENT)
    return Finding(False, "other_gradient", {}, distance, _AGREEMENT, _custom(run) or _detaching(run))


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
            return float(loss_of(subject.logits_in(subject.call(ids), ids), ids))
    finally:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(before[name])


def _without_graph(run: RecordedRun) -> Blame | None:
    """Return the forward that runs without gradients as a whole, or the first operation that does."""
    computing = (operation for operation in run.operations if operation.name != "getitem")  # a view is none
    if not any(value.requires_grad for operation in computing for value in operation.outputs):
        first = next((o for o in run.operations if not o.path and o.place.file), None)
        place = run.operations[0].place if first is None else first.place
        outer = place.outer or place
        return Blame("no-grad-forward", outer._replace(line=outer.begin))
    return _detaching(run)


def _missing(
    experiments: Experiments, run: RecordedRun, flow: dict[ValueKey, Tensor], missing: list[str]
) -> Blame | None:
    """Return why parameters get no gradient: they leave torch, are never read, or their path ends."""
    left = next((name for name in missing if name in run.left_torch), "")
    if left:
        return Blame("to-python", run.left_torch[left], details={"name": left})
    readers = {
        value.origin: operation for operation in reversed(run.operations) for value in operation.inputs
        if value.origin
    }  # fmt: skip
    unread = next((name for name in missing if name not in readers), "")
    if unread:
        place, path = definition_of(experiments.subject.module, unread), unread.rpartition(".")[0]
        return Blame("parameter-unread", place, path=path, details={"name": unread})
    reader = readers[missing[0]]
    blame = _detaching(run) or _stopping(run, flow)
    if blame is not None:
        return blame
    last = reader  # then what takes it, as long as that has a gradient
    while takers := [
        t for v in last.outputs for t in run.takers(v) if any(o.requires_grad for o in t.outputs)
    ]:
        last = takers[-1]
    return Blame("no-path", last.place, last, last.path, {"name": missing[0]})


def _custom(run: RecordedRun) -> Blame | None:
    """Return the backward method of a torch.autograd.Function that the run uses."""
    for operation in run.operations:
        for value in operation.inputs:
            if value.maker is not None:
                place = last_return(find_place_of_class(value.maker))
                return Blame("custom-backward", place, operation, operation.path)
    return None


def _detaching(run: RecordedRun) -> Blame | None:
    """Return the first operation that lost the graph on the way to the logits."""
    losing = [operation for operation in run.operations if _loses_graph(operation)]
    losing = [operation for operation in losing if _is_upstream(run, operation)]
    return blamed("detached", losing[0]) if losing else None


def _stopping(run: RecordedRun, flow: dict[ValueKey, Tensor]) -> Blame | None:
    """Return the operation through which a gradient comes as 0, NaN or an infinity, and not before."""
    for operation in reversed(run.operations):
        after = [flow[value.key] for value in operation.outputs if value.key in flow]
        # A gradient sums up what all operations that take a value send back: here that is one alone.
        before = [flow[v.key] for v in operation.inputs if v.key in flow and len(run.takers(v)) == 1]
        if not after or not before or not all(bool(g.isfinite().all()) and bool(g.any()) for g in after):
            continue
        if any(not bool(g.isfinite().all()) for g in before) or not any(bool(g.any()) for g in before):
            return blamed("gradient-stops", operation)
    return None


def _loses_graph(operation: RecordedOperation) -> bool:
    if "_like" in operation.name or operation.name.startswith("new_"):
        return False
    takes = any(value.requires_grad and value.tensor.is_floating_point() for value in operation.inputs)
    makes = [value for value in operation.outputs if value.tensor.is_floating_point()]
    return takes and bool(makes) and not any(value.requires_grad for value in makes)


def _is_upstream(run: RecordedRun, operation: RecordedOperation) -> bool:
    """Tell whether the logits are made of what an operation returned."""
    return run.logits is None or run.leads_to(operation, run.logits)
