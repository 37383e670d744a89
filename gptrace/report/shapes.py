"""Shapes as people read them: `[batch, seq_len, emb_dim]` and `[1, 4, 768]`."""

from __future__ import annotations

from collections.abc import Sequence

from gptrace.record import ModuleCall, OpCall, TensorSpec
from gptrace.report.safe_text import visible
from gptrace.translation import joined, words
from gptrace.wording import bracketed

_SHOWN = 3  # tensors of one side of a call; a cache can hold dozens


def names(specs: Sequence[TensorSpec], sign: str = ", ") -> str:
    """Write the axis names of the tensors of one side of a call."""
    return _shown([visible(bracketed(spec.dims)) for spec in specs], sign)


def sizes(specs: Sequence[TensorSpec], sign: str = ", ") -> str:
    """Write the sizes of the tensors of one side of a call."""
    return _shown([bracketed(spec.shape) for spec in specs], sign)


def split_names(dims: Sequence[str], split_by: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return axis names with the mesh dimensions that split them.

    >>> split_names(("batch", "emb_dim"), ((), ("tp",)))
    ('batch', 'emb_dim/tp')
    """
    if len(split_by) != len(dims):
        return tuple(dims)
    return tuple("/".join((name, *splits)) for name, splits in zip(dims, split_by, strict=True))


def keeps_shape(call: ModuleCall | OpCall) -> bool:
    """Tell whether what leaves a call has the shape of what came in."""
    return bool(call.inputs) and [s.dims for s in call.inputs] == [s.dims for s in call.outputs]


def changes_last_axis(call: ModuleCall | OpCall) -> bool:
    """Tell whether the last axis leaves a call with another meaning or size: what people come to see."""
    if not (call.inputs and call.outputs):
        return False
    entering, leaving = call.inputs[0], call.outputs[0]
    return (entering.dims[-1:], entering.shape[-1:]) != (leaving.dims[-1:], leaving.shape[-1:])


def _shown(tensors: list[str], sign: str) -> str:
    if not tensors:
        return words("no tensor")
    first, rest = joined(tensors[:_SHOWN], sign), len(tensors) - _SHOWN
    return words("{}, … {} more", first, rest) if rest > 0 else first
