"""Work of the tracer that no mode sees: neither the tracer's modes, nor those of a user."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from gptrace.model.quiet_torch import torch
from gptrace.tracing.costs import CostMode
from gptrace.tracing.operations import OperationMode

# `DisableTorchFunction` turns off function modes and the __torch_function__ of subclasses,
# `_DisableTorchDispatch` turns off dispatch modes and __torch_dispatch__. Both are in torch 2.9, the oldest
# supported version; it has no public way to turn off other people's modes.
without_function_modes = torch._C.DisableTorchFunction
without_dispatch_modes = torch._C._DisableTorchDispatch

# A look at a tensor is seen by a function mode, and by a graph that torch.jit.trace records.
count_function_modes, recorded_graph = torch._C._len_torch_function_stack, torch._C._get_tracing_state
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def run_unseen(
    work: Callable[_Parameters, _Result], *args: _Parameters.args, **kwargs: _Parameters.kwargs
) -> _Result:
    """Call a function where no function mode and no graph that torch.jit.trace records sees its work."""
    if recorded_graph() is not None:
        with _without_graph(), without_function_modes():
            return work(*args, **kwargs)
    with without_function_modes():
        return work(*args, **kwargs)


class Paused:
    """Lets the modes of a trace see nothing from now on, until `end`; those of a user still see all."""

    def __init__(self, modes: Iterable[CostMode | OperationMode | None]) -> None:
        self._states = [(mode, mode.is_paused) for mode in modes if mode is not None]
        for mode, _ in self._states:
            mode.is_paused = True

    def end(self) -> None:
        """Let the modes see what they saw before."""
        for mode, was_paused in self._states:
            mode.is_paused = was_paused


@contextmanager
def _without_graph() -> Iterator[None]:
    graph = recorded_graph()
    torch._C._set_tracing_state(None)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch._C._set_tracing_state(graph)  # type: ignore[attr-defined]


def back_on_its_stack(mode: CostMode | OperationMode) -> None:
    """Put a mode back on torch's stack before it is left, if an interrupt has lost it.

    torch takes a mode off the stack while it works; see `_pop_mode_temporarily` in torch.overrides.
    """
    if isinstance(mode, OperationMode):
        count = torch._C._len_torch_function_stack()
        if not any(torch._C._get_function_stack_at(place) is mode for place in range(count)):
            torch._C._push_on_torch_function_stack(mode)
        return
    stack = torch.utils._python_dispatch._get_current_dispatch_mode_stack()
    if not any(other is mode for other in stack):
        torch.utils._python_dispatch._push_mode(mode)
