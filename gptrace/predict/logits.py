"""Find the logits in whatever a model returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor
_FIELD = "logits"


class Found(NamedTuple):
    """Logits `[batch, seq_len, V]`, or `[batch, 1, V]` of the last position alone; or why there are none."""

    logits: Tensor | None
    reason: str = ""


def find_logits(output: object, batch: int, seq_len: int) -> Found:
    """Return the field named logits, else the one tensor that can be a score for each token at each position.

    >>> find_logits((torch.ones(2, 3, 10), torch.ones(())), batch=2, seq_len=3).logits.shape
    torch.Size([2, 3, 10])
    >>> find_logits(torch.ones(2, 10), batch=2, seq_len=3).reason
    'the output [2, 10] is no [batch, seq_len, V]'
    """
    named = _field(output)
    if isinstance(named, Tensor):
        reason = _why_not(named, batch, (seq_len, 1))
        return Found(None, f"the output's logits {reason}") if reason else Found(named)
    if output is None:
        return Found(None, "forward() returned None; is a `return` missing?")
    tensors = list(_tensors(output))
    # nanoGPT computes those of the last position alone when it is not trained.
    for length in (seq_len, 1):
        whole = [tensor for tensor in tensors if not _why_not(tensor, batch, (length,))]
        if len(whole) == 1:
            return Found(whole[0])
        if whole:
            shapes = ", ".join(str(list(tensor.shape)) for tensor in whole[:3])
            many = f"{len(whole)} tensors that could be logits, {shapes}"
            return Found(None, f"the output holds {many}: give the field that holds them that name")
    if len(tensors) == 1:
        return Found(None, f"the output {_why_not(tensors[0], batch, (seq_len, 1))}")
    return Found(None, f"the output, a {type(output).__name__}, holds no tensor [batch, seq_len, V]")


def _why_not(tensor: Tensor, batch: int, lengths: tuple[int, ...]) -> str:
    """Say why a tensor cannot be logits, or nothing."""
    if tensor.dim() != 3 or tensor.shape[0] != batch or tensor.shape[1] not in lengths or not tensor.shape[2]:
        return f"{list(tensor.shape)} is no [batch, seq_len, V]"
    if not tensor.is_floating_point():
        return f"{list(tensor.shape)} is {str(tensor.dtype).removeprefix('torch.')}, not floating point"
    return "" if tensor.layout is torch.strided else f"{list(tensor.shape)} is sparse"


def _field(output: object) -> object:
    if isinstance(output, Mapping):
        return output.get(_FIELD)
    return None if isinstance(output, Tensor) else getattr(output, _FIELD, None)


def _tensors(output: object) -> Iterator[Tensor]:
    """Yield the tensors at the top of an output; what lies deeper is a cache or a state, not the answer."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        yield from (value for value in output.values() if isinstance(value, Tensor))
    elif isinstance(output, list | tuple):
        yield from (value for value in output if isinstance(value, Tensor))
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        for part in dataclasses.fields(output):
            value = getattr(output, part.name, None)
            if isinstance(value, Tensor):
                yield value
