"""Multiply-accumulates of each call, counted where torch runs its kernels: exact, or marked as unknown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from gptrace.model.quiet_torch import torch
from gptrace.record import Cost
from gptrace.tracing.activation_memory import ActivationMemory, storage_key
from gptrace.tracing.mac_formulas import COMPOSITE, HigherOrderOperator, Kernel, classify_kernel
from gptrace.tracing.span import Span

Tensor = torch.Tensor


class CostMode(torch.utils._python_dispatch.TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts MACs, and the memory of activations, of every kernel that this thread runs while it is entered.

    `add_macs` gets (MACs, "") for each kernel with a formula, and (None, name) for each of unknown cost.
    While it `is_paused`, what runs is no work of the model.
    `kernel_count` is the number of kernels so far, `running_kernels` the number of kernels that run now.

    torch has no public name for TorchDispatchMode; its own FLOP counter takes it from here, too.
    """

    # Otherwise torch raises for operators that take functions as arguments, such as torch.cond.
    supports_higher_order_operators = True

    def __init__(self, add_macs: Callable[[int | None, str], None], memory: ActivationMemory | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kernel_count = self.running_kernels = 0
        self.is_paused = False
        self._add_macs = add_macs
        self._memory = memory
        self._kernels: dict[object, Kernel] = {}

    @property
    def has_run_fused_attention(self) -> bool:
        """Whether a kernel has run that computes attention without a tensor of all weights."""
        names = (str(func) for func in self._kernels)
        return any("_scaled_dot_product_" in name and "attention_math" not in name for name in names)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # If true, torch would import its compiler, which takes a second, to hide __torch_dispatch__ from it.
        # There is no need to: compiled models run uncompiled while they are traced. Versions of torch that do
        # not have this method ignore it.
        return False

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """Let torch compile what it must, such as flex_attention: the operators are seen as they run.

        Otherwise torch runs it uncompiled, and tries to compile `__torch_dispatch__`.
        """
        return True

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # While this runs, torch has taken the mode off its stack: kernels that `func` calls are not seen.
        kwargs = kwargs or {}
        self.kernel_count += 1
        if self.is_paused:
            return func(*args, **kwargs)
        kernel = self._kernels.get(func)
        if kernel is None:
            kernel = self._kernels[func] = classify_kernel(func)
        if kernel.is_composite and kernel.is_split(args):
            # In inference mode torch does not split composite kernels first. `_op_dk` runs the entry of one
            # dispatch key; with this mode entered again, each kernel inside gets here in turn.
            with self:
                return func._op_dk(COMPOSITE, *args, **kwargs)
        self.running_kernels += 1
        try:
            result = func(*args, **kwargs)
        finally:
            self.running_kernels -= 1
        if kernel.formula is not None or kernel.is_unknown:
            macs = _macs(kernel, args, result)
            is_higher_order = isinstance(func, HigherOrderOperator)
            name = "" if macs is not None else str(func if is_higher_order else func.overloadpacket)
            self._add_macs(macs, name)
        if self._memory is not None:
            inputs = (*args, *kwargs.values()) if kwargs else args
            self._memory.add(result, () if _takes_new_memory(func, args) else inputs)
        return result


def _takes_new_memory(func: Any, args: Sequence[Any]) -> bool:
    """Tell whether a kernel hands on memory that torch.tensor has filled with numbers of Python's.

    No kernel reserves it. Memory that torch.from_numpy shares with an array is not torch's, and has one size.
    """
    if func is not torch.ops.aten.lift_fresh.default or storage_key(args[0]) is None:
        return False
    return bool(args[0].untyped_storage().resizable())


def _macs(kernel: Kernel, args: Sequence[Any], result: Any) -> int | None:
    """Return the MACs of a kernel that has run; None where they are unknown."""
    if kernel.formula is None or not all(
        argument.layout is torch.strided for argument in args if isinstance(argument, Tensor)
    ):
        return None
    try:
        return kernel.formula(args, result)
    except Exception:  # such as nested tensors, which have no sizes
        return None


def costs_with_children(spans: Sequence[Span]) -> list[Cost]:
    """Return the cost of each call, including the calls inside it."""
    macs = [span.macs for span in spans]
    unknown = [span.unknown for span in spans]
    for span in reversed(spans):  # children first: a parent stands before its children
        if span.parent is not None:
            macs[span.parent.index] += macs[span.index]
            if unknown[span.index]:
                unknown[span.parent.index] |= unknown[span.index]
    return list(map(_cost, macs, unknown))


@lru_cache(maxsize=1000)  # the blocks of a model share their costs
def _cost(macs: int, unknown: frozenset[str]) -> Cost:
    return Cost(macs, tuple(sorted(unknown)))
