"""Multiply-accumulates, exact or said to be unknown: counted where torch runs its kernels.

One multiply-accumulate (MAC) is one multiplication and one addition, so a FLOP counter says twice as many.
Counted are matrix products, convolutions and attention; not what is done to single elements. The formulas are
the definitions: an (m, k) times a (k, n) matrix takes m·k·n, whatever the kernel does to get there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from gptrace.model.quiet_torch import torch
from gptrace.tracing.memory import ActivationMemory

Tensor = torch.Tensor
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


def _product(a: Tensor, b: Tensor) -> int:
    """(…, m, k) · (k, n), the batch in front the same on both sides: every number of `a` meets n numbers."""
    return a.numel() * (b.shape[-1] if b.dim() > 1 else 1)


def _convolution(x: Tensor, weight: Tensor, output: Tensor, transposed: bool) -> int:
    """Each number of the output (of the input, where it is transposed) takes a kernel for each channel."""
    kernel = math.prod(weight.shape[1:])  # (channels out, channels in / groups, …)
    return (x if transposed else output).numel() * kernel


def _attention(query: Tensor, key: Tensor, value: Tensor) -> int:
    """query·keyᵀ and weights·value, (B, H, T, D): a causal mask saves no multiplication by this count."""
    return math.prod(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _multi_head(query: Tensor, key: Tensor, value: Tensor, width: int) -> int:
    """The fused module of torch: four projections, and attention over all heads at once."""
    B, T, S = query.shape[0], query.shape[1], key.shape[1]
    projections = width * width * B * (2 * T + 2 * S)
    return projections + 2 * B * T * S * width


# aten's name: arguments and result → MACs
_FORMULAS: dict[str, Callable[[tuple[Any, ...], Any], int]] = {
    "mm": lambda a, _: _product(a[0], a[1]),
    "addmm": lambda a, _: _product(a[1], a[2]),
    "_addmm_activation": lambda a, _: _product(a[1], a[2]),
    "_int_mm": lambda a, _: _product(a[0], a[1]),
    "_scaled_mm": lambda a, _: _product(a[0], a[1]),
    "bmm": lambda a, _: _product(a[0], a[1]),
    "baddbmm": lambda a, _: _product(a[1], a[2]),
    "addbmm": lambda a, _: _product(a[1], a[2]),
    "mv": lambda a, _: _product(a[0], a[1]),
    "addmv": lambda a, _: _product(a[1], a[2]),
    "dot": lambda a, _: a[0].numel(),
    "vdot": lambda a, _: a[0].numel(),
    "addr": lambda a, _: a[1].numel() * a[2].numel(),
    "linear": lambda a, _: a[0].numel() * a[1].shape[0],
    "mkldnn_linear": lambda a, _: a[0].numel() * a[1].shape[0],
    "convolution": lambda a, out: _convolution(a[0], a[1], out, a[6]),
    "_convolution": lambda a, out: _convolution(a[0], a[1], out, a[6]),
    "convolution_overrideable": lambda a, out: _convolution(a[0], a[1], out, a[6]),
    "cudnn_convolution": lambda a, out: _convolution(a[0], a[1], out, transposed=False),
    "mkldnn_convolution": lambda a, out: _convolution(a[0], a[1], out, transposed=False),
    "_slow_conv2d_forward": lambda a, out: _convolution(a[0], a[1], out, transposed=False),
    "mkldnn_rnn_layer": lambda a, _: a[0].shape[0] * a[0].shape[1] * (a[1].numel() + a[2].numel()),
    "_native_multi_head_attention": lambda a, _: _multi_head(a[0], a[1], a[2], a[3]),
    **{
        name: lambda a, _: _attention(a[0], a[1], a[2])
        for name in (
            "_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention",
            "_scaled_dot_product_fused_attention_overrideable",
        )
    },
}  # fmt: skip

# What multiplies matrices by its name, and has no formula above: its cost is unknown, and not 0.
_MULTIPLIES = re.compile(
    r"conv|attention|lstm|gru|rnn|vecdot|matrix_exp|cholesky_solve|ormqr|householder|solve_triangular|_dist|"
    r"linear(?!ly)|matmul|mm($|_)|transformer|einsum|bilinear$|_trilinear|cdist|tensordot"
)
_NOT_MULTIPLYING = re.compile(r"upsample|grid_sample|im2col|col2im|linalg_vector_norm|commit")
_HigherOrder = torch._ops.HigherOrderOperator
_OWN_NAMESPACES = ("aten", "prim", "prims", "profiler")


class _Kind(NamedTuple):
    """Of a kernel: its formula, or that its cost is unknown; whether others make it up."""

    formula: Callable[..., int] | None = None
    is_unknown: bool = False
    is_composite: bool = False


class CostMode(torch.utils._python_dispatch.TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts MACs, and the memory of activations, of every kernel that runs while it is entered.

    `count` gets what each costs: MACs, or None and the kernel's name where that is unknown. `done` is the
    number of kernels so far, `running` of those that run now.
    """

    supports_higher_order_operators = True  # such as torch.cond, which calls what it was given

    def __init__(self, count: Callable[[int | None, str], None], memory: ActivationMemory | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.done = self.running = 0
        self._count = count
        self._memory = memory
        self._kinds: dict[object, _Kind] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Else torch would import its compiler, a second's work, to keep it away from here; what is compiled
        # runs uncompiled while it is traced.
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        self.done += 1
        kind = self._kinds.get(func)
        if kind is None:
            kind = self._kinds[func] = _kind_of(func)
        formula, is_unknown, is_composite = kind
        if is_composite:
            # In inference mode it arrives whole; run by torch's own rule, its kernels come by.
            with self:
                return func._op_dk(_COMPOSITE, *args, **kwargs)
        self.running += 1
        try:
            result = func(*args, **kwargs)
        finally:
            self.running -= 1
        if formula is not None and all(
            one.layout is torch.strided for one in args if isinstance(one, Tensor)
        ):
            self._count(formula(args, result), "")
        elif is_unknown or formula is not None:
            self._count(None, str(func) if isinstance(func, _HigherOrder) else str(func.overloadpacket))
        if self._memory is not None:
            self._memory.hold(result, (*args, *kwargs.values()) if kwargs else args)
        return result


def _is_composite(func: Any, name: str) -> bool:
    """Tell whether torch makes a function of others; those that only ask for a shape are left as they are."""
    if name.startswith("sym_") or name in _QUESTIONS or func.namespace != "aten":
        return False
    try:
        return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE))
    except RuntimeError:  # some are known to Python alone
        return False


_QUESTIONS = ("is_contiguous", "size", "stride", "storage_offset", "numel", "dim", "layout", "device")


def _kind_of(func: Any) -> _Kind:
    """Return what kind of kernel a function of torch is."""
    if isinstance(func, _HigherOrder) or func.namespace not in _OWN_NAMESPACES:
        return _Kind(is_unknown=True)  # code that others gave may do anything
    name = func.overloadpacket.__name__
    formula = _FORMULAS.get(name) if func.namespace == "aten" else None
    if formula is not None:
        return _Kind(formula)
    is_composite = _is_composite(func, name)
    looks = bool(_MULTIPLIES.search(name)) and not _NOT_MULTIPLYING.search(name)
    return _Kind(is_unknown=looks and not is_composite, is_composite=is_composite)
