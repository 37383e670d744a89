"""Failures due to shapes: products, heads, views and broadcasting."""

from __future__ import annotations

import math
import re

from gptrace.model.architecture import CONTEXT_NAMES
from gptrace.model.quiet_torch import torch
from gptrace.tracing.diagnosis.context import FailureContext
from gptrace.wording import nearest_divisors

nn = torch.nn
_CONV_AXES = ("length", "height, width", "depth, height, width")  # by number of axes


def expected_input(module: nn.Module) -> str:
    """Return the input shape that a module of torch expects, or "" where the module does not fix one.

    >>> expected_input(nn.Linear(768, 10))
    'Linear expects [..., 768]'
    """
    name = type(module).__name__
    if last_axes := _expected_last_axes(module):
        return f"{name} expects [..., {', '.join(map(str, last_axes))}]"
    if isinstance(module, nn.Embedding):
        return f"{name} expects ids below {module.num_embeddings}"
    if isinstance(module, nn.modules.conv._ConvNd):  # the base class of all convolutions, which is not public
        axes = ", ".join(_CONV_AXES[len(module.kernel_size) - 1 :][:1])
        return f"{name} expects [batch, {module.in_channels}, {axes}]"
    if isinstance(module, nn.modules.batchnorm._BatchNorm):  # the same for BatchNorm1d to 3d
        return f"{name} expects [batch, {module.num_features}, ...]"
    if isinstance(module, nn.GroupNorm):
        return f"{name} expects [batch, {module.num_channels}, ...]"
    return ""


def _expected_last_axes(module: nn.Module) -> tuple[int, ...]:
    """Return the sizes that the last axes of a module's input must have, or ()."""
    if isinstance(module, nn.Linear):
        return (module.in_features,)
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        return tuple(module.normalized_shape)
    if isinstance(module, nn.RNNBase):
        return (module.input_size,)
    return (module.embed_dim,) if isinstance(module, nn.MultiheadAttention) else ()


def inner_dimensions(context: FailureContext) -> str:
    """The input of a module does not have the width of its weight, or two matrices do not fit."""
    module, message = context.call.module, context.message
    shape = context.first_input.shape if context.first_input is not None else None
    last_axes = _expected_last_axes(module)
    is_torch_class = type(module).__module__.startswith("torch.")  # a subclass may do anything with its input
    if is_torch_class and last_axes and shape and shape[-1] != last_axes[-1]:
        text = _unexpected_input(context, shape)
        if len(shape) > 1 and shape[-2] == last_axes[-1]:
            text += "; with its last two axes swapped it would fit: x.transpose(-2, -1)"
        return text
    product = re.search(r"cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)", message)
    if product:
        _, inner, other, _ = sizes = [int(size) for size in product.groups()]
        return _product_text(*sizes) + _clauses(context.named_sizes(inner, other))
    batched = re.search(r"batch2 tensor to be: \[(\d+), (\d+)\] but got: \[(\d+), (\d+)\]", message)
    if batched:
        batch, inner, other_batch, rows = map(int, batched.groups())
        if batch != other_batch:
            return f"a batch of {batch} matrices is multiplied by a batch of {other_batch}"
        text = f"matrices of {inner} columns are multiplied by matrices of {rows} rows; these must be equal"
        return text + _transposed_fits(context, inner, rows) + _clauses(context.named_sizes(inner, rows))
    is_shape_error = re.search(
        r"expected input|to have \d+ channels|size mismatch|running_\w+ should contain|number of channels",
        message,
    )
    if expected_input(module) and shape is not None and is_shape_error:
        channels = getattr(module, "num_features", getattr(module, "num_channels", None))
        is_last = len(shape) == 3 and shape[-1] == channels != shape[1]
        advice = "; the channels are axis 1: x.transpose(1, 2) would fit" if is_last else ""
        return _unexpected_input(context, shape) + advice
    return ""


def _unexpected_input(context: FailureContext, shape: tuple[int, ...]) -> str:
    producer = f", made by {context.call.producer}" if context.call.producer else ""
    text = f"{context.name}: {expected_input(context.call.module)}, got {list(shape)}{producer}"
    last_axes = _expected_last_axes(context.call.module)
    own = context.dims[-1] if len(context.dims) == len(shape) and not context.dims[-1].isdecimal() else ""
    named = context.named_sizes(*last_axes[-1:])
    if own and named:
        return text + f"; its last axis is {own}, and {named[0]}"
    return text + (f"; its last axis is {own}" if own else "") + _clauses(named)


def _clauses(facts: list[str]) -> str:
    return "".join(f"; {fact}" for fact in facts)


def _product_text(rows: int, inner: int, other: int, columns: int) -> str:
    text = (
        f"a [{rows}, {inner}] matrix is multiplied by a [{other}, {columns}] matrix: "
        f"the inner sizes {inner} and {other} must be equal"
    )
    if inner == columns:
        return text + f"; the second matrix transposed, [{columns}, {other}], would fit"
    if rows == other:
        return text + f"; the first matrix transposed, [{inner}, {rows}], would fit"
    return text


def _transposed_fits(context: FailureContext, inner: int, rows: int) -> str:
    """Return the advice for a batch of matrices that was not transposed, as keys have to be."""
    if len(context.operation_inputs) > 1:
        second = context.operation_inputs[1].shape
        fits = second[-1] == inner
        return f"; the second ones transposed, [{inner}, {rows}], would fit" if fits else ""
    # Without the shape of the second matrices: rows for each token are keys as they come.
    is_rows_of_tokens = rows == context.seq_len
    return "; for queries @ keys, transpose the keys: keys.transpose(-2, -1)" if is_rows_of_tokens else ""


def heads_do_not_divide(context: FailureContext) -> str:
    """A view to [batch, seq_len, heads, …] fails, as the width is no multiple of the heads."""
    view = _failed_view(context)
    if not view or len(view[0]) < 4:
        return ""
    (batch, seq_len, heads, *_), elements = view
    leading_axes = [info.shape[:2] for info in (*context.root_inputs[:1], *context.call.inputs[:1])]
    if (batch, seq_len) not in leading_axes or elements % (batch * seq_len):
        return ""
    width = elements // (batch * seq_len)
    if heads < 1 or width % heads == 0:
        return ""
    return (
        f"a width of {width} does not divide into {heads} heads ({width} / {heads} = {width / heads:.2f}); "
        f"possible numbers of heads are {nearest_divisors(width, heads)}"
    )


def missing_dim(context: FailureContext) -> str:
    """A softmax does not say over which axis it runs."""
    function = re.search(r'(\w+)\(\) missing 1 required positional arguments?: "dim"', context.message)
    if not function or "softmax" not in function[1]:
        return ""
    return (
        f"{function[1]} needs the axis that it runs over: dim=-1 is the last one, the keys of attention "
        "scores"
    )


def view_of_wrong_size(context: FailureContext) -> str:
    """A view asks for another number of elements, or for another order of them in memory."""
    if "view size is not compatible" in context.message:
        return (
            "view() does not work on a tensor whose axes were swapped, as by transpose(): "
            "use x.contiguous().view(…) or x.reshape(…)"
        )
    view = _failed_view(context)
    if not view:
        return ""
    shape, elements = view
    fixed = math.prod(size for size in shape if size != -1)
    if -1 in shape and fixed:
        return f"the tensor has {elements:,} elements, not a multiple of {fixed:,} as the shape {shape} needs"
    return f"the tensor has {elements:,} elements, but the shape {shape} has {fixed:,}"


def _failed_view(context: FailureContext) -> tuple[list[int], int] | None:
    """Return the shape that a failed view asked for and the number of elements of the tensor."""
    match = re.search(r"shape '\[([-\d, ]*)\]' is invalid for input of size (\d+)", context.message)
    if not match:
        return None
    return [int(size) for size in match.group(1).split(",") if size.strip()], int(match.group(2))


def unequal_axes(context: FailureContext) -> str:
    """Two tensors do not broadcast."""
    sizes = broadcast_sizes(context)
    if not sizes:
        return _joined_axes(context.message)
    a, b, axis = sizes
    shapes = " and ".join(str(list(info.shape)) for info in context.operation_inputs[:2])
    return (
        f"two tensors{f' ({shapes})' if shapes else ''} do not broadcast: axis {axis} is {a} in one and {b} "
        "in the other; the sizes must be equal, or one of them 1"
    ) + _clauses([*context.named_sizes(a, b), *_cut(context, a, b)])


def _cut(context: FailureContext, a: int, b: int) -> list[str]:
    """Say what to do where one tensor is as long as the text and the other as long as the context."""
    contexts = {size for name, size in context.sizes.items() if name in CONTEXT_NAMES}
    if context.seq_len not in (a, b) or contexts.isdisjoint((a, b)) or a == b:
        return []
    return ["a mask or a table for the whole context is cut to the text, as in mask[:seq_len, :seq_len]"]


# What torch.cat, torch.stack and torch.einsum say → what it means, with the groups of the pattern in it.
_JOINING = {
    r"except in dimension (\d+)\. Expected size (\d+) but got size (\d+) for tensor number (\d+)":
        r"cat joins tensors along axis \1, and all other axes must be equal: tensor \4 has the size \3 where "
        r"the first has \2",
    r"same number of dimensions: got (\d+) and (\d+)":
        r"tensors of \1 and of \2 axes are joined; unsqueeze(dim) adds an axis",
    r"equal size, but got (\[.*?\]) at entry 0 and (\[.*?\]) at entry (\d+)":
        r"stack takes tensors of one shape: the first is \1, and number \3 is \2",
    r"subscript (\w) has size (\d+) for operand (\d+).*previously seen size (\d+)":
        r"in einsum, \1 stands for one size: it is \4 at first, and \2 in operand \3",
    r"subscripts in the equation \((\d+)\).* number of dimensions \((\d+)\) for operand (\d+)":
        r"einsum names \1 axes of operand \3, which has \2",
}  # fmt: skip


def _joined_axes(message: str) -> str:
    """Explain why tensors are not joined; "" for other messages."""
    matches = ((re.search(pattern, message), meaning) for pattern, meaning in _JOINING.items())
    return next((match.expand(meaning) for match, meaning in matches if match), "")


def broadcast_sizes(context: FailureContext) -> tuple[int, int, int] | None:
    """Return (size in the first tensor, size in the second, axis) where two tensors do not broadcast."""
    pattern = r"tensor a \((\d+)\) must match the size of tensor b \((\d+)\) at non-singleton dimension (\d+)"
    match = re.search(pattern, context.message)
    if not match:
        return None
    a, b, axis = map(int, match.groups())
    return a, b, axis
