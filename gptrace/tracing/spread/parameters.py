"""The parameters of a spread model: as wholes, and as the parts that this process holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from gptrace.model.quiet_torch import torch
from gptrace.tracing.parameters import (
    Counts,
    ParameterRef,
    buffer_bytes,
    count_all,
    count_by_module,
    parameter_refs,
)
from gptrace.tracing.spread.layout import parts_here

Modules = Sequence[tuple[str, torch.nn.Module]]


class SpreadParameters(NamedTuple):
    """Each parameter once, with the size of the whole, and with that of the part here.

    They are taken before a forward pass: in its course, torch may put other tensors into the modules.
    `dtype` is that of the first parameter, as it is kept.
    """

    whole: list[ParameterRef]
    here: list[ParameterRef]
    dtype: torch.dtype | None

    @classmethod
    def of(cls, modules: Modules) -> SpreadParameters:
        """Return the parameters of these modules, which are those of a spread model with their paths."""
        parts = parts_here(module for _, module in modules)
        whole, here = [], []
        for ref in parameter_refs(modules):
            part = parts.get(id(ref.parameter))
            if part is None:
                whole.append(ref)
                here.append(ref)
            else:
                whole.append(_sized(ref, math.prod(part.shape), part.local.dtype))
                here.append(_sized(ref, part.local.numel(), part.local.dtype))
        first = whole[0].parameter if whole else None
        part = parts.get(id(first))
        dtype = part.local.dtype if part is not None else None if first is None else first.dtype
        return cls(whole, here, dtype)

    def counts(self, modules: Modules) -> Counts:
        """Return the counts of the whole model."""
        return Counts(count_by_module(modules, self.whole), count_all(self.whole), buffer_bytes(modules))


def _sized(ref: ParameterRef, elements: int, dtype: torch.dtype) -> ParameterRef:
    # The dtype is that of the part that stays: FSDP may gather a parameter in a shorter one.
    return ref._replace(
        elements=elements,
        trainable=elements if ref.parameter.requires_grad else 0,
        bytes=elements * dtype.itemsize,
    )
