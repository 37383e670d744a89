"""What a model returns beside the logits, such as a value of each token, and the parameters of that alone."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch
from gptrace.tracing.tensors import find_tensors
from gptrace.verify.check.recorded_run import RecordedRun, Value
from gptrace.verify.check.recording import Recorder

Tensor = torch.Tensor


def other_outputs(recorder: Recorder, output: object, logits: Tensor, ids: Tensor) -> tuple[Value, ...]:
    """Return what a forward pass returned beside the logits with a gradient: (B, T, …), (B,) or one number.

    Caches and weights of attention have other axes: they are steps on the way to the logits.
    """
    tensors = [
        tensor for _, tensor in find_tensors("output", output)
        if tensor is not logits and tensor.requires_grad and tensor.shape[:2] == ids.shape[: tensor.dim()]
    ]  # fmt: skip
    values = [recorder.value_of(tensor) for tensor in tensors]
    return tuple(value for value in values if value is not None)


def is_of_another_output(run: RecordedRun, name: str) -> bool:
    """Tell whether a parameter takes part in another output, which its own loss trains, and in no logits."""
    readers = [
        operation for operation in run.operations
        if any(value.origin == name for value in operation.inputs)
    ]  # fmt: skip
    if run.logits is None or any(run.leads_to(reader, run.logits) for reader in readers):
        return False
    return any(run.leads_to(reader, *run.other_outputs) for reader in readers)
