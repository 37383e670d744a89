"""The backward pass of a model: the gradients of a loss, or why there are none."""

from __future__ import annotations

from collections.abc import Sequence

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.blame import Blame, blamed
from gptrace.verify.check.recorded_run import RecordedOperation
from gptrace.verify.check.recording import Recorder
from gptrace.verify.check.subject import Subject

Tensor = torch.Tensor


class BackwardError(Exception):
    """The backward pass of the model raises; the cause is what it raised."""


def loss_of(logits: Tensor, ids: Tensor) -> Tensor:
    """Return the cross-entropy of logits against the next tokens."""
    rows = logits[:, :-1].reshape(-1, logits.shape[-1])
    return torch.nn.functional.cross_entropy(rows, ids[:, 1:].reshape(-1))


def gradients_of(loss: Tensor, tensors: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """Return the gradient of a loss by each tensor; raise a BackwardError where the model's graph raises."""
    try:
        return torch.autograd.grad(loss, tensors, allow_unused=True)
    except NotImplementedError:  # for this dtype or this device
        raise
    except RuntimeError as error:
        raise BackwardError from error


def raises_in_training(subject: Subject) -> bool:
    """Tell whether one step of plain training raises in the backward pass, too."""
    module, ids = subject.original, subject.random_ids(1, subject.length, 20)
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        with subject.running(module, gradients=True):
            gradients_of(loss_of(subject.logits_in(subject.call(ids, module), ids), ids), parameters)
    except BackwardError:
        return True
    return False


def overwriting(subject: Subject) -> Blame | None:
    """Return the operation that wrote into a tensor after another one had saved it for the backward pass."""
    module, ids = subject.original, subject.random_ids(1, subject.length, 20)
    recorder = Recorder(module)
    saved: list[tuple[Tensor, int]] = []  # each with the number of the operation that saved it

    def note(tensor: Tensor) -> Tensor:
        saved.append((tensor, len(recorder.run.operations)))
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
    with subject.running(module, gradients=True), hooks, recorder.on(module):
        subject.call(ids, module)
    writers = (_writer(recorder, tensor, number) for tensor, number in saved)
    operation = next((writer for writer in writers if writer is not None), None)
    return None if operation is None else blamed("overwritten", operation)


def _writer(recorder: Recorder, tensor: Tensor, number: int) -> RecordedOperation | None:
    last = recorder.last_write(tensor)
    return recorder.run.operations[last] if last is not None and last > number else None
