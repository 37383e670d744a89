"""The memory of a spread model's activations on this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gptrace.model.quiet_torch import torch
from gptrace.tracing.activation_memory import ActivationMemory, import_compiler
from gptrace.tracing.spread.layout import Layout, is_fake, parts_here
from gptrace.tracing.spread.lending import Lending
from gptrace.tracing.spread.own_work import GATHERING, runs_in, stands_for_another

Tensor = torch.Tensor


class SpreadMemory(ActivationMemory):
    """Adds up the memory of activations on this process; parameters that FSDP has gathered are none.

    gloo sends and receives in threads of its own, which let go of a tensor a moment after its message has
    arrived. Until then its memory is not free, so the sum would depend on the speed of the threads. So this
    class waits for them before it notes more memory.
    """

    def __init__(self, module: torch.nn.Module, on_growth: Callable[[int], None], layout: Layout) -> None:
        super().__init__(module, on_growth)
        import_compiler()  # DTensor computes shapes with it
        self._layout = layout
        self._lending = Lending(self._live_storages)
        for part in parts_here(module.modules()).values():
            self._add_of_model(part.local)

    def release(self) -> None:
        """Stop watching the storages that are still alive."""
        super().release()
        self._lending.clear()

    def settled(self) -> int:
        """Return the bytes that are alive as a call begins, without those that only a thread still holds."""
        self._lending.wait()
        return self.alive

    def add(self, value: object, inputs: Sequence[object]) -> None:
        """Count the memory of a kernel's result, if it holds numbers of this process and no parameters."""
        if self._layout.gathers and runs_in(GATHERING):
            return
        self._lending.learn(value)
        self._lending.wait(inputs)
        super().add(value, inputs)

    def _add_tensor(self, tensor: Tensor, inputs: Sequence[object]) -> None:
        if stands_for_another(type(tensor)) or is_fake(tensor) != self._layout.is_fake:
            return
        super()._add_tensor(tensor, inputs)

    def run_collective(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run a collective, and count the memory of its result."""
        return self._lending.run(func, args, kwargs, self.add)

    def note_arrival(self, tensors: Iterable[Tensor]) -> None:
        """Note that the messages which these tensors receive have arrived."""
        self._lending.end(tensors)
