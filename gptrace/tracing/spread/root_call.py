"""The outermost call of a spread model, kept so that its twin on device meta can make the same call."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

from gptrace.model.quiet_torch import torch
from gptrace.tracing.span import Span
from gptrace.tracing.tensors import find_tensors

without_dispatch_modes = torch._C._DisableTorchDispatch


class RootCall(NamedTuple):
    """A call with its arguments on device meta; None instead of these where they cannot be copied.

    `has_gradients` tells whether torch kept what a backward pass needs, and so the memory of activations.
    """

    span: Span
    arguments: tuple[tuple[Any, ...], dict[str, Any]] | None
    has_gradients: bool

    @classmethod
    def of(cls, span: Span, args: tuple[object, ...], kwargs: Mapping[str, object]) -> RootCall:
        """Keep a call that is about to begin, since it may change what is in its arguments."""
        # deepcopy takes what its memo has for an object, by its id.
        memo: dict[int, Any] = {}
        try:
            with without_dispatch_modes():
                for _, tensor in find_tensors("", (args, kwargs)):
                    empty = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
                    memo[id(tensor)] = empty.requires_grad_(tensor.requires_grad)
                arguments = copy.deepcopy((args, dict(kwargs)), memo)
        except Exception:  # some objects of users cannot be copied
            return cls(span, None, torch.is_grad_enabled())
        return cls(span, arguments, torch.is_grad_enabled())
