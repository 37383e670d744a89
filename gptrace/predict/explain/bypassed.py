"""What becomes of the result of a module where the next one takes the vectors that entered the module."""

from __future__ import annotations

from enum import Enum, auto

from gptrace.model.quiet_torch import torch
from gptrace.predict.capture import CapturedTensors, capture_tensors, replaced_output
from gptrace.predict.explain.measured_model import MeasuredModel, largest, largest_difference

Tensor = torch.Tensor


class UseOfResult(Enum):
    """NEXT: the next module takes it. LATER: it is used elsewhere. UNSEEN: no effect seen. NONE: unused."""

    NEXT = auto()
    LATER = auto()
    UNSEEN = auto()
    NONE = auto()


def use_of_result(model: MeasuredModel, path: str, following: str) -> UseOfResult:
    """Return how the result of the module at `path` is used, where `following` is the next one.

    Equal vectors alone tell nothing: a result may be zero when training begins, or may be added later. So
    other numbers take its place. A factor of zero hides these as well, so the operations that read the result
    are followed up to what the model returns.
    """
    captured = model.captured
    if not _is_passed_by(captured, path, following):
        return UseOfResult.NEXT
    values = _other_numbers(captured.inputs[path], captured.outputs[path])
    try:
        with (
            replaced_output(model.module.get_submodule(path), values),
            capture_tensors(model.module, [path, following], model.structure.numbers) as captured,
        ):
            logits = model.run(model.ids)[0]
    except Exception:  # the result may be no tensor, and a user's model may raise for such numbers
        return UseOfResult.UNSEEN
    if not _is_passed_by(captured, path, following):
        return UseOfResult.NEXT
    is_read = model.is_read(path)
    changes = largest_difference(logits, model.logits) > model.logit_tolerance
    if changes and (is_read or not model.is_random):
        return UseOfResult.LATER
    return UseOfResult.UNSEEN if is_read else UseOfResult.NONE


def _is_passed_by(captured: CapturedTensors, path: str, following: str) -> bool:
    """Tell whether `following` takes the very vectors that entered `path`, which returned others."""
    entering, leaving = captured.inputs.get(path), captured.outputs.get(path)
    taken = captured.inputs.get(following)
    if entering is None or leaving is None or taken is None:
        return False
    return torch.equal(taken, entering) and not torch.equal(leaving, entering)


def _other_numbers(entering: Tensor, leaving: Tensor) -> Tensor:
    """Return random numbers as large as the vectors; no norm takes them away, as it does a constant."""
    numbers = torch.randn(leaving.shape, generator=torch.Generator().manual_seed(0))
    return (numbers * max(largest(entering), largest(leaving))).to(leaving)
