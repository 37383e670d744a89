"""The kernels and the memory of a spread model on this process, without the work that torch does to spread it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence, Set
from typing import Any

from gptrace.model.quiet_torch import torch
from gptrace.record import Traffic
from gptrace.tracing.activation_memory import ActivationMemory, import_compiler
from gptrace.tracing.costs import CostMode
from gptrace.tracing.mac_formulas import COMMUNICATION
from gptrace.tracing.module_calls import call_watched
from gptrace.tracing.spread.layout import Layout, is_fake, loaded, parts_here
from gptrace.tracing.spread.messages import messages_of

Tensor = torch.Tensor
_FOLDER = torch.__file__.rpartition("/")[0]
# DTensor computes the shape of a result here: it runs the operation on fake tensors of the whole size.
_SHAPES = frozenset({f"{_FOLDER}/distributed/tensor/_sharding_prop.py"})
# FSDP gathers parameters here, copies them, and frees them.
_GATHERING = frozenset(
    f"{_FOLDER}/distributed/fsdp/_fully_shard/{name}.py"
    for name in ("_fsdp_param_group", "_fsdp_param", "_fsdp_collectives")
)


class SpreadCostMode(CostMode):  # type: ignore[no-untyped-call]
    """Counts the kernels that run on the tensors of this process, and notes the messages.

    An operation on a DTensor, or on a tensor that is still on its way, comes here first, and then the kernels
    that torch runs in its place. Only these count. `add_message` gets each message.
    """

    def __init__(
        self,
        add_macs: Callable[[int | None, str], None],
        add_message: Callable[[Traffic], None],
        memory: ActivationMemory | None,
        layout: Layout,
    ) -> None:
        super().__init__(add_macs, memory)
        self._add_message = add_message
        self._layout = layout

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if any(map(_stands_for_another, types)):
            return NotImplemented  # torch then asks the tensor itself, which runs the other kernels
        if self._propagates_shapes(types):
            return func(*args, **(kwargs or {}))
        result = super().__torch_dispatch__(func, types, args, kwargs)
        if func.namespace in COMMUNICATION:
            for message in messages_of(func, args, result, self._layout.groups):
                self._add_message(message)
        return result

    def _propagates_shapes(self, types: Sequence[type]) -> bool:
        """Tell whether DTensor runs this kernel on fake tensors, to know the shape of a result."""
        if self._layout.is_fake:
            return _runs_in(_SHAPES)
        fake = loaded("torch._subclasses.fake_tensor", "FakeTensor")
        return fake is not None and fake in types


class SpreadMemory(ActivationMemory):
    """Adds up the memory of activations on this process; parameters that FSDP has gathered are none."""

    def __init__(self, module: torch.nn.Module, on_growth: Callable[[int], None], layout: Layout) -> None:
        super().__init__(module, on_growth)
        import_compiler()  # DTensor computes shapes with it
        self._layout = layout
        for part in parts_here(module.modules()).values():
            self._add_of_model(part.local)

    def add(self, value: object, inputs: Sequence[object]) -> None:
        """Count the memory of a kernel's result, if it holds numbers of this process that are no parameters."""
        if not (self._layout.gathers and _runs_in(_GATHERING)):
            super().add(value, inputs)

    def _add_tensor(self, tensor: Tensor, inputs: Sequence[object]) -> None:
        if not _stands_for_another(type(tensor)) and is_fake(tensor) == self._layout.is_fake:
            super()._add_tensor(tensor, inputs)


def _stands_for_another(kind: type) -> bool:
    """Tell whether tensors of this type hold a tensor of this process, which the kernels run on."""
    if kind is Tensor or kind is torch.nn.Parameter:
        return False
    return kind in (
        loaded("torch.distributed.tensor", "DTensor"),
        loaded("torch.distributed._functional_collectives", "AsyncCollectiveTensor"),
    )


def _runs_in(files: Set[str]) -> bool:
    """Tell whether torch runs code of these files inside of the innermost call of a module."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not call_watched.__code__:
        if frame.f_code.co_filename in files:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
