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
        if _can_be(named, batch, seq_len):
            return Found(named)
        return Found(None, f"the output's logits {list(named.shape)} are no [batch, seq_len, V]")
    tensors = list(_tensors(output))
    whole = [tensor for tensor in tensors if _can_be(tensor, batch, seq_len)]
    if len(whole) == 1:
        return Found(whole[0])
    if whole:
        shapes = ", ".join(str(list(tensor.shape)) for tensor in whole[:3])
        return Found(
            None, f"the output holds {len(whole)} tensors that could be logits, {shapes}: name one so"
        )
    if len(tensors) == 1:
        return Found(None, f"the output {list(tensors[0].shape)} is no [batch, seq_len, V]")
    kind = type(output).__name__
    return Found(None, f"the output, a {kind}, holds no tensor [batch, seq_len, V]")


def _can_be(tensor: Tensor, batch: int, seq_len: int) -> bool:
    # nanoGPT computes those of the last position alone when it is not trained.
    return (
        tensor.dim() == 3
        and tensor.is_floating_point()
        and tensor.shape[0] == batch
        and tensor.shape[1] in (seq_len, 1)
    )


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
