"""The kernels of a spread model on this process, without the work of spreading it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gptrace.model.quiet_torch import torch
from gptrace.record import Traffic
from gptrace.tracing.costs import CostMode
from gptrace.tracing.mac_formulas import COMMUNICATION
from gptrace.tracing.spread.layout import Layout, loaded
from gptrace.tracing.spread.memory import SpreadMemory
from gptrace.tracing.spread.messages import is_collective, messages_of, tensors_in
from gptrace.tracing.spread.own_work import SHAPES, runs_in, stands_for_another

Tensor = torch.Tensor


class SpreadCostMode(CostMode):  # type: ignore[no-untyped-call]
    """Counts the kernels that run on the tensors of this process, and notes the messages.

    An operation on a DTensor, or on a tensor that is still on its way, comes here first, and then the kernels
    that torch runs in its place. Only these count. `add_message` gets each message.
    """

    def __init__(
        self,
        add_macs: Callable[[int | None, str], None],
        add_message: Callable[[Traffic], None],
        memory: SpreadMemory | None,
        layout: Layout,
    ) -> None:
        super().__init__(add_macs, memory)
        self._add_message = add_message
        self._spread_memory = memory
        self._layout = layout

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self.is_paused:
            return func(*args, **(kwargs or {}))
        if any(map(stands_for_another, types)):
            return NotImplemented  # torch then asks the tensor itself, which runs the other kernels
        if self._propagates_shapes(types):
            return func(*args, **(kwargs or {}))
        if getattr(func, "namespace", "") not in COMMUNICATION:
            return super().__torch_dispatch__(func, types, args, kwargs)
        is_wait = func.overloadpacket.__name__ == "wait_tensor"
        if is_wait and self._layout.is_fake:
            return args[0]  # as with real tensors; of a fake one, torch would make another
        memory = None if self._layout.is_fake else self._spread_memory
        if memory is not None and is_collective(func):
            self.kernel_count += 1
            result = memory.run_collective(func, args, kwargs or {})
        else:
            result = super().__torch_dispatch__(func, types, args, kwargs)
        if memory is not None and is_wait:
            memory.note_arrival(tensors_in(args))
        for message in messages_of(func, args, result, self._layout.groups):
            self._add_message(message)
        return result

    def _propagates_shapes(self, types: Sequence[type]) -> bool:
        """Tell whether DTensor runs this kernel on fake tensors, to find the shape of a result."""
        if self._layout.is_fake:
            return runs_in(SHAPES)
        fake = loaded("torch._subclasses.fake_tensor", "FakeTensor")
        return fake is not None and fake in types
