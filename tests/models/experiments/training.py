"""Loss, gradients and the modules that are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gptrace.model.quiet_torch import torch
from tests.models.collection import RightModel, small
from tests.models.experiments.running import Tensor, differ, functional, lively, logits_of, run, some_ids


def loss_is_not_of_the_next_token(record: RightModel, path: Path) -> bool:
    """The loss that forward returns is not the cross-entropy of logits[t] against token t + 1."""
    model, ids = lively(small(record, path)), some_ids(batch=2)
    if record.labels == "shifted":
        given, taught = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
        output = model(given, targets=taught)
        logits = logits_of(output)
    else:
        given = ids
        output = model(given, labels=given)
        logits, taught = logits_of(output)[:, :-1], ids[:, 1:]
    expected = functional.cross_entropy(logits.flatten(0, 1), taught.flatten())
    return differ(_loss_of(output), expected)


def _loss_of(output: Any) -> Tensor:
    if isinstance(output, tuple):
        return next(item for item in output if isinstance(item, torch.Tensor) and item.dim() == 0)
    loss: Tensor = output["loss"] if isinstance(output, dict) else output.loss
    return loss


def _gradients(model: Any) -> dict[str, Tensor | None]:
    ids = some_ids(batch=2)
    logits = logits_of(model(ids))
    loss = functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    loss.backward()  # type: ignore[no-untyped-call]
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def some_parameter_does_not_learn(record: RightModel, path: Path) -> bool:
    """A trainable parameter gets no gradient, or only zeros."""
    model = lively(small(record, path))
    return any(grad is None or not bool(grad.any()) for grad in _gradients(model).values())


def gradients_are_wrong(record: RightModel, path: Path) -> bool:
    """Along a random direction the loss does not change as its gradient says."""
    model = lively(small(record, path)).double()
    gradients = _gradients(model)
    generator = torch.Generator().manual_seed(5)
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        direction = torch.randn(parameter.shape, generator=generator).double()
        gradient = gradients[name]
        slope = 0.0 if gradient is None else float((gradient * direction).sum())
        if abs(slope - _measured_slope(model, parameter, direction)) > 0.02 * abs(slope) + 2e-3:
            return True
    return False


def _measured_slope(model: Any, parameter: Tensor, direction: Tensor, step: float = 1e-4) -> float:
    ids = some_ids(batch=2)
    losses = []
    original = parameter.detach().clone()
    with torch.no_grad():
        for sign in (1, -1):
            parameter.copy_(original + sign * step * direction)
            logits = logits_of(model(ids))
            loss = functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
            losses.append(float(loss))
        parameter.copy_(original)
    return (losses[0] - losses[1]) / (2 * step)


def some_module_is_not_called(record: RightModel, path: Path) -> bool:
    """A registered module without children, which has parameters, is never called."""
    model = small(record, path)
    called = set()
    leaves = [m for m in model.modules() if not [*m.children()] and [*m.parameters()]]
    for module in leaves:
        module.register_forward_hook(lambda module, *_: called.add(module))
    run(model, some_ids())
    return not called.issuperset(leaves)


def some_module_is_not_registered(record: RightModel, path: Path) -> bool:
    """A module stands in a plain list, dict or attribute, where torch does not see it."""
    model = small(record, path)
    registered = set(model.modules())
    for module in registered:
        for value in vars(module).values():
            inside = value if isinstance(value, list | tuple) else [value]
            inside = [*value.values()] if isinstance(value, dict) else inside
            if any(isinstance(item, torch.nn.Module) and item not in registered for item in inside):
                return True
    return False


def trainable_parameters_differ(record: RightModel, path: Path) -> bool:
    """The model has fewer or more parameters than its base."""
    counts = [sum(p.numel() for p in small(record, file).parameters()) for file in (path, record.path)]
    return bool(counts[0] != counts[1])
