"""Find the logits in the output of a model, of whatever type it is."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import NamedTuple

from gptrace.model.dtypes import dtype_name
from gptrace.model.quiet_torch import torch
from gptrace.tracing.diagnosis import why_none

Tensor = torch.Tensor
_MOST_VALUES = 10_000


class LogitsOrReason(NamedTuple):
    """Logits (B, T, V), or (B, 1, V) of the last position alone; or the reason why there are none."""

    logits: Tensor | None
    reason: str = ""


def find_logits(
    output: object, batch: int, seq_len: int, *, module: torch.nn.Module | None = None
) -> LogitsOrReason:
    """Return the field named logits, or else the only tensor whose shape and dtype logits can have.

    `module` returned the output; the reason says where it did not.

    >>> find_logits((torch.ones(2, 3, 10), torch.ones(())), batch=2, seq_len=3).logits.shape
    torch.Size([2, 3, 10])
    >>> find_logits(torch.ones(2, 10), batch=2, seq_len=3).reason
    'the output [2, 10] is no [batch, seq_len, V]'
    """
    logits = _logits_field(output)
    if isinstance(logits, Tensor):
        reason = _why_not(logits, batch, (seq_len, 1))
        return LogitsOrReason(None, f"the output's logits {reason}") if reason else LogitsOrReason(logits)
    if inspect.iscoroutine(output):
        output.close()  # else Python warns later that nobody has awaited it
        return LogitsOrReason(None, "forward() is declared with async def, so it has not run; use plain def")
    if inspect.isgenerator(output) or inspect.isasyncgen(output):
        return LogitsOrReason(None, "forward() holds yield, so it has not run; use return")
    if output is None:
        where = "" if module is None else why_none(module)
        missing = "forward() returned None; is a `return` missing?"
        return LogitsOrReason(None, f"forward() returned None{where}" if where else missing)
    tensors = _tensors(output)
    # nanoGPT computes only the logits of the last position when it is not trained.
    for length in (seq_len, 1):
        fitting = [tensor for tensor in tensors if not _why_not(tensor, batch, (length,))]
        if len(fitting) == 1:
            return LogitsOrReason(fitting[0])
        if fitting:
            shapes = ", ".join(str(list(tensor.shape)) for tensor in fitting[:3])
            reason = (
                f"the output holds {len(fitting)} tensors that could be logits, {shapes}: return the logits "
                "in a field named logits"
            )
            return LogitsOrReason(None, reason)
    if len(tensors) == 1:
        return LogitsOrReason(None, f"the output {_why_not(tensors[0], batch, (seq_len, 1))}")
    return LogitsOrReason(
        None, f"the output, of type {type(output).__name__}, holds no tensor [batch, seq_len, V]"
    )


def refuse_classes(result: LogitsOrReason, largest_id: int) -> LogitsOrReason:
    """Refuse scores that are fewer than the ids of the vocabulary, of which `largest_id` went in.

    They are of something else than the next token, such as two classes.

    >>> refuse_classes(LogitsOrReason(torch.ones(1, 3, 2)), largest_id=716).reason
    'the output has 2 scores for each position, but id 716 is in the vocabulary: they score no next token'
    """
    if result.logits is None or largest_id < (scores := result.logits.shape[-1]):
        return result
    reason = (
        f"the output has {scores:,} {'score' if scores == 1 else 'scores'} for each position, but id "
        f"{largest_id} is in the vocabulary: they score no next token"
    )
    return LogitsOrReason(None, reason)


def _why_not(tensor: Tensor, batch: int, lengths: tuple[int, ...]) -> str:
    """Return the reason why a tensor cannot be logits, or an empty string."""
    if tensor.dim() != 3 or tensor.shape[0] != batch or tensor.shape[1] not in lengths or not tensor.shape[2]:
        return f"{list(tensor.shape)} is no [batch, seq_len, V]"
    if not tensor.is_floating_point():
        return f"{list(tensor.shape)} is {dtype_name(tensor.dtype)}, not floating point"
    if tensor.dtype.itemsize < 2:
        return f"{list(tensor.shape)} is {dtype_name(tensor.dtype)}, which torch cannot sort"
    return "" if tensor.layout is torch.strided else f"{list(tensor.shape)} is sparse"


def _logits_field(output: object) -> object:
    if isinstance(output, Mapping):
        return output.get("logits")
    return None if isinstance(output, Tensor) else getattr(output, "logits", None)


def _tensors(output: object) -> list[Tensor]:
    """Return the tensors at the top level of an output; deeper ones are caches and states."""
    values: Iterable[object] = [output]
    if isinstance(output, Mapping):
        values = output.values()
    elif isinstance(output, list | tuple):
        values = output
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        values = [getattr(output, field.name, None) for field in dataclasses.fields(output)]
    # A mapping of the user's may have values without end.
    return [value for value in islice(values, _MOST_VALUES) if isinstance(value, Tensor)]
