"""Multiply-accumulates (MACs) of torch's kernels, by their definition.

One MAC is one multiplication and one addition, so a counter of FLOPs reports twice as many. Matrix products,
convolutions and attention have formulas; elementwise work is not counted. An (m, k) by (k, n) product takes
m·k·n, whatever algorithm the kernel uses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gptrace.model.quiet_torch import torch

Tensor = torch.Tensor
# The dispatch key under which torch registers kernels that only call other kernels.
COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
# The keys of backends on which some composite kernels have a kernel of their own, as silu_backward has.
_BACKENDS = tuple(
    getattr(torch._C.DispatchKey, name)
    for name in ("CPU", "CUDA", "MPS", "XPU", "Meta", "NestedTensorCPU", "NestedTensorCUDA")
    if hasattr(torch._C.DispatchKey, name)
)
# The class of operators that take functions as arguments, such as torch.cond.
HigherOrderOperator = torch._ops.HigherOrderOperator


def _product(a: Tensor, b: Tensor) -> int:
    """(…, m, k) · (…, k, n), with the same leading axes: each element of `a` is multiplied n times."""
    return a.numel() * (b.shape[-1] if b.dim() > 1 else 1)


def _convolution(x: Tensor, weight: Tensor, output: Tensor, transposed: bool) -> int:
    """Each output element (each input element, if transposed) costs one filter: channels × kernel size."""
    filter_size = math.prod(weight.shape[1:])  # weight: (channels out, channels in / groups, …)
    return (x if transposed else output).numel() * filter_size


def _attention(query: Tensor, key: Tensor, value: Tensor) -> int:
    """query·keyᵀ and weights·value, (B, H, T, head_dim): a causal mask does not lower the count."""
    return math.prod(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _multi_head(query: Tensor, key: Tensor, value: Tensor, emb_dim: int) -> int:
    """torch's fused multi-head attention: four projections, then attention over all heads."""
    B, T, S = query.shape[0], query.shape[1], key.shape[1]
    projections = emb_dim * emb_dim * B * (2 * T + 2 * S)
    return projections + 2 * B * T * S * emb_dim


# Name of the aten kernel → formula of (arguments, result) → MACs.
_FORMULAS: dict[str, Callable[[tuple[Any, ...], Any], int]] = {
    name: formula
    for names, formula in (
        ("mm bmm mv _int_mm _scaled_mm", lambda a, _: _product(a[0], a[1])),
        ("addmm addbmm addmv baddbmm _addmm_activation", lambda a, _: _product(a[1], a[2])),
        ("dot vdot", lambda a, _: a[0].numel()),
        ("addr", lambda a, _: a[1].numel() * a[2].numel()),
        ("linear mkldnn_linear", lambda a, _: a[0].numel() * a[1].shape[0]),
        ("convolution _convolution convolution_overrideable",
         lambda a, out: _convolution(a[0], a[1], out, transposed=a[6])),
        ("cudnn_convolution mkldnn_convolution _slow_conv2d_forward",
         lambda a, out: _convolution(a[0], a[1], out, transposed=False)),
        ("mkldnn_rnn_layer", lambda a, _: a[0].shape[0] * a[0].shape[1] * (a[1].numel() + a[2].numel())),
        ("_native_multi_head_attention", lambda a, _: _multi_head(*a[:4])),
        ("_scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu "
         "_scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention "
         "_scaled_dot_product_fused_attention_overrideable", lambda a, _: _attention(*a[:3])),
    )
    for name in names.split()
}  # fmt: skip

# Kernels without a formula whose name suggests that they multiply matrices, as Fourier transforms and solvers
# of linear equations do in ways of their own: their cost is unknown, not 0.
_MULTIPLIES = re.compile(
    r"conv|attention|lstm|gru|rnn|vecdot|_fft_|linalg|cholesky|solve|ormqr|geqrf|_dist|"
    r"linear(?!ly)|matmul|mm($|_)|transformer|einsum|bilinear$|_trilinear|cdist|tensordot"
)
_DOES_NOT_MULTIPLY = re.compile(
    r"upsample|grid_sample|im2col|col2im|linalg_(vector_norm|cross|_powsum|check_errors)|commit"
)
# Collectives, and the copies around them: they move numbers, and are not the work of the model.
COMMUNICATION = frozenset(
    {"c10d", "c10d_functional", "_c10d_functional", "_c10d_functional_autograd", "_dtensor", "fsdp"}
)
_TORCH_NAMESPACES = ("aten", "prim", "prims", "profiler")
# Composite functions that only read a property: they are left as they are.
_PROPERTIES = ("is_contiguous", "size", "stride", "storage_offset", "numel", "dim", "layout", "device")


class Kernel(NamedTuple):
    """How to count a kernel: by its formula, as unknown, by the kernels that it calls, or not at all.

    A composite kernel calls other kernels, except on the backends that have one of their `own`.
    """

    formula: Callable[..., int] | None = None
    is_unknown: bool = False
    is_composite: bool = False
    own: tuple[Any, ...] = ()  # dispatch keys

    def is_split(self, args: Sequence[Any]) -> bool:
        """Tell whether torch runs other kernels instead of this one for these arguments."""
        return self.is_composite and not (self.own and self._has_own(args))

    def _has_own(self, args: Sequence[Any]) -> bool:
        tensors = (argument for argument in args if isinstance(argument, Tensor))
        return any(torch._C._dispatch_keys(tensor).has(key) for tensor in tensors for key in self.own)


def classify_kernel(func: Any) -> Kernel:
    """Return how to count a function that reached __torch_dispatch__.

    >>> classify_kernel(torch.ops.aten.bmm.default).formula((torch.ones(2, 3, 4), torch.ones(2, 4, 5)), None)
    120
    >>> classify_kernel(torch.ops.aten.add.Tensor)
    Kernel(formula=None, is_unknown=False, is_composite=False, own=())
    """
    if not isinstance(func, HigherOrderOperator) and func.namespace in COMMUNICATION:
        return Kernel()
    if isinstance(func, HigherOrderOperator) or func.namespace not in _TORCH_NAMESPACES:
        return Kernel(is_unknown=True)  # a custom kernel may do anything
    name = func.overloadpacket.__name__
    formula = _FORMULAS.get(name) if func.namespace == "aten" else None
    if formula is not None:
        return Kernel(formula)
    is_composite = _is_composite(func, name)
    multiplies = bool(_MULTIPLIES.search(name)) and not _DOES_NOT_MULTIPLY.search(name)
    own = tuple(key for key in _BACKENDS if _has_kernel(func, key)) if is_composite else ()
    return Kernel(is_unknown=multiplies, is_composite=is_composite, own=own)


def _is_composite(func: Any, name: str) -> bool:
    """Tell whether a kernel only calls other kernels, and does more than return a property."""
    if name.startswith("sym_") or name in _PROPERTIES or func.namespace != "aten":
        return False
    return _has_kernel(func, COMPOSITE)


def _has_kernel(func: Any, key: Any) -> bool:
    """Tell whether torch's dispatch table, by full names such as "aten::linear", has a kernel for a key."""
    try:
        return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key))
    except RuntimeError:  # operators that exist only in Python are not in the table
        return False
