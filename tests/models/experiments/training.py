"""Loss, gradients and the modules that are trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gptrace.model.quiet_torch import torch
from tests.models.collection import RightModel, small
from tests.models.experiments.running import Tensor, differ, functional, lively, logits_of, run, some_ids


def loss_is_not_of_the_next_token(record: RightModel, path: Path) -> bool:
    """The loss that forward returns is not the cross-entropy of logits[t] against token t + 1.

    It may have another term that does not depend on the labels, so two labellings of a text are compared.
    """
    model, ids = lively(small(record, path)), some_ids(batch=3)
    losses, expected = [], []
    for labels in (ids, some_ids(batch=3, seed=2)):
        if record.labels == "shifted":
            output = model(ids[:, :-1].contiguous(), targets=labels[:, 1:].contiguous())
            logits = logits_of(output)
        else:
            output = model(ids, labels=labels)
            logits = logits_of(output)[:, :-1]
        losses.append(_loss_of(output))
        expected.append(functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten()))
    return differ(losses[0] - losses[1], expected[0] - expected[1])


def leaves_out_token_zero(record: RightModel, path: Path) -> bool:
    """The loss of a text whose every second token is 0 is that of the other tokens alone."""
    model, ids = lively(small(record, path)), some_ids(batch=2)
    ids[:, ::2] = 0
    given, taught = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    output = model(given, targets=taught)
    logits = logits_of(output).flatten(0, 1)
    others = functional.cross_entropy(logits, taught.flatten(), ignore_index=0)
    return not differ(_loss_of(output), others)


def _loss_of(output: Any) -> Tensor:
    if isinstance(output, tuple):
        return next(item for item in output if isinstance(item, torch.Tensor) and item.dim() == 0)
    loss: Tensor = output["loss"] if isinstance(output, dict) else output.loss
    return loss


def _loss(model: Any) -> Tensor:
    ids = some_ids(batch=2)
    logits = logits_of(model(ids))
    logits = logits if logits.shape[1] > 1 else logits_of(model(ids, targets=ids))
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def _trainable(model: Any) -> list[Any]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def some_parameter_does_not_learn(record: RightModel, path: Path) -> bool:
    """A trainable parameter gets no gradient, or only zeros."""
    model = lively(small(record, path))
    _loss(model).backward()  # type: ignore[no-untyped-call]
    return any(p.grad is None or not bool(p.grad.any()) for p in _trainable(model))


def nothing_learns(record: RightModel, path: Path) -> bool:
    """The logits do not depend on the parameters, as far as autograd knows."""
    return not _loss(small(record, path)).requires_grad


def nothing_moves_at_the_start(record: RightModel, path: Path) -> bool:
    """With the weights that the model starts with, no trainable parameter has a gradient other than 0."""
    model = small(record, path)
    _loss(model).backward()  # type: ignore[no-untyped-call]
    return not any(p.grad is not None and bool(p.grad.any()) for p in _trainable(model))


def without_gradient(*names: str) -> Callable[[RightModel, Path], bool]:
    """Every parameter whose name holds one of `names` gets no gradient, but for rounding errors."""

    def experiment(record: RightModel, path: Path) -> bool:
        model = lively(small(record, path))
        _loss(model).backward()  # type: ignore[no-untyped-call]
        chosen = [p for name, p in model.named_parameters() if any(part in name for part in names)]
        assert chosen
        return all(p.grad is None or bool(p.grad.abs().max() < 1e-6) for p in chosen)

    return experiment


def some_gradient_is_nan(record: RightModel, path: Path) -> bool:
    """After a backward pass, a gradient is not finite."""
    model = lively(small(record, path))
    _loss(model).backward()  # type: ignore[no-untyped-call]
    return any(p.grad is not None and not bool(p.grad.isfinite().all()) for p in _trainable(model))


def gradients_are_wrong(record: RightModel, path: Path) -> bool:
    """Along a random direction of all parameters, the loss does not change as its gradient says."""
    model = lively(small(record, path)).double()
    try:
        _loss(model)
    except RuntimeError:  # something of float32 inside does not go with float64
        model = lively(small(record, path))
    _loss(model).backward()  # type: ignore[no-untyped-call]
    generator = torch.Generator().manual_seed(5)
    directions = [torch.randn(p.shape, generator=generator).to(p) for p in _trainable(model)]
    pairs = zip(_trainable(model), directions, strict=True)
    slope = sum(float((p.grad * direction).sum()) for p, direction in pairs if p.grad is not None)
    # Small steps cross no corner of a ReLU; larger ones stand out from rounding to float32 inside.
    measured = (_measured_slope(model, directions, step) for step in (1e-6, 1e-4, 1e-3))
    return not any(abs(slope - other) < 0.02 * abs(slope) for other in measured)


def _measured_slope(model: Any, directions: list[Tensor], step: float) -> float:
    losses = []
    originals = [parameter.detach().clone() for parameter in _trainable(model)]
    with torch.no_grad():
        for signed in (step, -step):
            for parameter, original, direction in zip(_trainable(model), originals, directions, strict=True):
                parameter.copy_(original + signed * direction)
            losses.append(float(_loss(model)))
        for parameter, original in zip(_trainable(model), originals, strict=True):
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
