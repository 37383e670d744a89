"""A product of matrices that does not fit since heads were split off and not moved in front of the tokens.

Shapes: B batch, T tokens, H heads, d head_dim.
"""

from __future__ import annotations

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.recorded_run import RecordedOperation, RecordedRun, Value

Tensor = torch.Tensor
_SPLITS = ("view", "reshape", "unflatten")
_ORDERS = ("transpose", "permute", "swapaxes", "movedim", "contiguous", "mT", "dropout", "to", "clone")
_PRODUCTS = ("matmul", "bmm")


def find_missing_transpose(run: RecordedRun, length: int) -> RecordedOperation | None:
    """Return the split into heads (B, T, H, d) that lacks a transpose(1, 2), or None.

    With that transpose the product fits at which the run, on a text of T = `length` tokens, has failed.
    """
    product = run.failed
    if product is None or product.name not in _PRODUCTS or len(product.inputs) != 2:
        return None
    first, second = (value.tensor for value in product.inputs)
    for value, other in zip(product.inputs, (second, first), strict=True):
        split, steps = _split_of(run, value)
        if split is None or split.outputs[0].tensor.shape[1] != length or value.tensor.shape[1] != length:
            continue
        turned = split.outputs[0].tensor.transpose(1, 2)
        for step in steps:
            turned = _again(step, turned)
        if _fit(*((turned, other) if value is product.inputs[0] else (other, turned))):
            return split
    return None


def _split_of(run: RecordedRun, value: Value) -> tuple[RecordedOperation | None, list[RecordedOperation]]:
    """Return the operation that split the heads of a tensor, and those that have put its axes in order."""
    steps: list[RecordedOperation] = []
    while value.tensor.dim() == 4 and len(steps) < 10 and (producers := run.producers(value)):
        if producers[0].name in _SPLITS:
            return producers[0], steps[::-1]
        if producers[0].name not in _ORDERS:
            break
        steps.append(producers[0])
        value = producers[0].inputs[0]
    return None, []


def _again(step: RecordedOperation, tensor: Tensor) -> Tensor:
    """Put the axes of another tensor into the order that a step makes."""
    if step.name == "mT":
        return tensor.mT
    if step.name not in ("transpose", "permute", "swapaxes", "movedim"):
        return tensor
    ordered: Tensor = getattr(tensor, step.name)(*step.positional[1:], **step.named)
    return ordered


def _fit(first: Tensor, second: Tensor) -> bool:
    return first.shape[:-2] == second.shape[:-2] and first.shape[-1] == second.shape[-2]
