"""Tell whether later tokens leak into earlier positions of a model that is meant to be causal.

Not every model is, such as BERT. A triangular mask or the name of its class shows that one is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gptrace.model.quiet_torch import torch
from gptrace.tracing.tensors import find_tensors

Tensor = torch.Tensor
_NAMES = re.compile(r"gpt|causal", re.IGNORECASE)
_TRIANGLES = frozenset({"tril", "triu", "tril_", "triu_"})
# Two computations of a number differ by some rounding errors; a real dependence by far more.
_ROUNDING_ERRORS = 1000


def is_meant_causal(module: torch.nn.Module, operations: Iterable[str]) -> bool:
    """Tell whether a model shows that it hides later tokens, given the names of the operations that it runs.

    The classes of transformers are known to do what their configuration says.
    """
    kind = type(module)
    if kind.__module__.startswith("transformers."):
        return False
    return (
        _NAMES.search(kind.__name__) is not None
        or not _TRIANGLES.isdisjoint(operations)
        or any(map(_is_triangular, module.buffers()))
    )


def with_later_tokens_changed(ids: Tensor) -> Tensor:
    """Return ids (B, T) whose first row has its first token again all over its second half.

    The same tokens in another order would not do: where order does not count, attention would not see it.
    """
    changed = ids.clone()
    changed[0, ids.shape[1] // 2 :] = ids[0, 0]
    return changed


def leaks(before: object, after: object, ids: Tensor) -> bool:
    """Tell whether later tokens (B, T) change what a model returns for earlier ones.

    `before` and `after` are its outputs for `ids`, and with the later tokens of the first row changed. False
    where other rows change, too: then something else than these tokens is at work.
    """
    batch, seq_len = ids.shape
    for (_, a), (_, b) in zip(find_tensors("", before), find_tensors("", after), strict=False):
        if a.shape != b.shape or a.dim() < 3 or tuple(a.shape[:2]) != (batch, seq_len) or a.is_meta:
            continue
        if not a.is_floating_point() or not bool(a.isfinite().all()):
            return False
        allowed = _ROUNDING_ERRORS * torch.finfo(a.dtype).eps * float(a.abs().max())
        change = (a - b).abs().flatten(2).amax(dim=-1)  # (B, T)
        others_stay = bool((change[1:] <= allowed).all())
        return others_stay and bool((change[0, : seq_len // 2] > allowed).any())
    return False


def _is_triangular(buffer: Tensor) -> bool:
    """Tell whether a buffer (…, N, N) is a mask with one value above the diagonal and another one below."""
    if buffer.dim() < 2 or buffer.shape[-1] != buffer.shape[-2] or buffer.shape[-1] < 3 or buffer.is_meta:
        return False
    matrix = buffer.reshape(-1, *buffer.shape[-2:])[0]
    later = torch.ones(matrix.shape, dtype=torch.bool, device=matrix.device).triu(1)
    above, below = matrix[later], matrix[~later]
    is_plain = bool((above == above[0]).all()) and bool((below == below[0]).all())
    return is_plain and bool(above[0] != below[0])
