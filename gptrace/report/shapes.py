"""Shapes as people read them: `[batch, seq_len, emb_dim]` and `[1, 4, 768]`."""

from __future__ import annotations

from collections.abc import Sequence

from gptrace.record import ModuleCall, TensorSpec
from gptrace.report.safe_text import visible

_SHOWN = 3  # tensors of one side of a call; a cache can hold dozens


def bracketed(axes: Sequence[object]) -> str:
    """Write axes in brackets.

    >>> bracketed((1, 4, 768))
    '[1, 4, 768]'
    """
    return f"[{', '.join(map(str, axes))}]"


def names(specs: Sequence[TensorSpec]) -> str:
    """Write the axis names of the tensors of one side of a call."""
    return _joined([visible(bracketed(spec.dims)) for spec in specs])


def sizes(specs: Sequence[TensorSpec]) -> str:
    """Write the sizes of the tensors of one side of a call."""
    return _joined([bracketed(spec.shape) for spec in specs])


def keeps_shape(call: ModuleCall) -> bool:
    """Tell whether what leaves a call has the shape of what came in."""
    return bool(call.inputs) and [s.dims for s in call.inputs] == [s.dims for s in call.outputs]


def changes_last_axis(call: ModuleCall) -> bool:
    """Tell whether the last axis leaves a call with another meaning or size: what people come to see."""
    if not (call.inputs and call.outputs):
        return False
    entering, leaving = call.inputs[0], call.outputs[0]
    return (entering.dims[-1:], entering.shape[-1:]) != (leaving.dims[-1:], leaving.shape[-1:])


def _joined(parts: list[str]) -> str:
    if not parts:
        return "no tensor"
    rest = len(parts) - _SHOWN
    return ", ".join(parts[:_SHOWN]) + (f", … {rest} more" if rest > 0 else "")
