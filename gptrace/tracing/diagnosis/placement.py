"""Failures due to memory, devices and dtypes, masks among them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gptrace.model.dtypes import dtype_name
from gptrace.model.quiet_torch import torch
from gptrace.tracing.diagnosis.context import FailureContext
from gptrace.tracing.tensors import TensorInfo
from gptrace.wording import enumerated

_OUT_OF_MEMORY = r"\b[A-Z]{3,} (backend )?out of memory|DefaultCPUAllocator"
_ALLOCATION = r"allocate (?:memory: you tried to allocate )?([\d.]+ ?(?:bytes|[KMGT]iB))"
_UNEQUAL_DEVICES = r"same device|on the expected device|found two devices|device meta|not on the expected"
_UNEQUAL_DTYPES = (
    r"same dtype, but got|expected scalar type|mixed dtype|[Ii]nput type \(.*weight type|"
    r"to have the same dtype, but"
)

_NEEDS_BOOL = (
    r"(masked_fill)_ only supports boolean|(~) \(operator\.invert\) is only|(where) expected condition"
)

# The names of dtypes in torch's messages, as patterns: those of its scalar types, and those of C++.
_DTYPES = {
    "BFloat16": "bfloat16", "Half": "float16", "Float": "float32", "float": "float32", "Double": "float64",
    "double": "float64", "complex<float>": "complex64", "complex<double>": "complex128",
    "ComplexFloat": "complex64", "ComplexDouble": "complex128", "Long": "int64", r"long\sint": "int64",
    "Int": "int32", "int": "int32", "Short": "int16", r"short\sint": "int16", "short": "int16",
    "Char": "int8", r"signed\schar": "int8", "Byte": "uint8", r"unsigned\schar": "uint8",
    "Bool": "bool", "bool": "bool",
}  # fmt: skip


def out_of_memory(context: FailureContext) -> str:
    """An allocation failed."""
    is_memory_error = isinstance(context.error, MemoryError | torch.OutOfMemoryError)
    if not is_memory_error and not re.search(_OUT_OF_MEMORY, context.message):
        return ""
    allocation = re.search(_ALLOCATION, context.message)
    size = f" while allocating {allocation.group(1)}" if allocation else ""
    return (
        f"out of memory in {context.name}{size}; use fewer or shorter prompts, or --device meta for the "
        "shapes alone"
    )


def device_mismatch(context: FailureContext) -> str:
    """An operation got tensors on different devices."""
    if not isinstance(context.error, RuntimeError) or not re.search(_UNEQUAL_DEVICES, context.message):
        return ""
    devices = " and ".join(sorted({str(info.device) for info in _operands(context)}))
    parameter = next(context.call.module.parameters(recurse=False), None)
    where = f" (inputs on {devices})" if devices else ""
    if parameter is not None:
        own = parameter.device
        where = f" (inputs on {devices}, parameters on {own})" if devices else f" (parameters on {own})"
    return (
        f"tensors on different devices meet in {context.name}{where}; create new tensors with "
        "device=x.device, or move them with .to()"
    )


def dtype_mismatch(context: FailureContext) -> str:
    """An operation got tensors of different dtypes."""
    if not isinstance(context.error, RuntimeError) or not re.search(_UNEQUAL_DTYPES, context.message):
        return ""
    module = context.call.module
    parameter = next(module.parameters(recurse=False), None)
    if type(module).__module__.startswith("torch.") and parameter is not None and context.first_input:
        dtype, own = context.first_input.dtype, parameter.dtype
        if dtype is own:
            return ""
        return (
            f"{context.name} got {dtype_name(dtype)}{_made_of(context, dtype)}, but its parameters are "
            f"{dtype_name(own)}; convert the input with x.to(weight.dtype), or the model with model.to(dtype)"
        )
    # The inputs of the call say nothing about an operation inside it: its message, or its own inputs, do.
    names = _dtypes_in(context.message)
    names = [dtype_name(info.dtype) for info in context.operation_inputs] or names
    dtypes = list(dict.fromkeys(names))
    if len(dtypes) < 2:
        return ""
    usual = {dtype_name(each.dtype) for each in _outermost(context).parameters()}
    odd = [name for name in dtypes if name not in usual]
    which = f"; the parameters of the model are {usual.pop()}, so look where {odd[0]} comes from" if (
        len(odd) == len(usual) == 1
    ) else ""  # fmt: skip
    return (
        f"an operation in {context.name} got {' and '.join(dtypes)}{which}; "
        "x.to(other.dtype) makes the dtypes equal"
    )


def mask_dtype(context: FailureContext) -> str:
    """An operation got numbers where it needs a mask of True and False."""
    found = re.search(_NEEDS_BOOL, context.message)
    if found is None:
        return ""
    # The message tells the dtype, but for an operation that has no tensor besides the mask.
    told = _dtypes_in(context.message.rpartition(" dtype ")[2])
    dtypes = told or [dtype_name(info.dtype) for info in context.operation_inputs]
    got = f" and got {dtypes[0]}" if len(dtypes) == 1 else ""
    name = found[found.lastindex or 0]
    if name == "~":
        return f"~ in {context.name} needs bool or integers{got}; x.bool() makes bool of zeros and ones"
    return f"{name} in {context.name} needs a mask of bool{got}; mask.bool() makes one of zeros and ones"


def _dtypes_in(message: str) -> list[str]:
    """Return the dtypes that a message of torch names, in order."""
    found = re.findall(rf"(?<!\w)(?:{'|'.join(_DTYPES)})(?!\w)", message)
    return [_DTYPES[name.replace(" ", r"\s")] for name in found]


def _made_of(context: FailureContext, dtype: torch.dtype) -> str:
    """Name the parameters and buffers of a dtype, from which an input probably has it."""
    module = _outermost(context)
    tensors = (*module.named_parameters(), *module.named_buffers())
    names = [name for name, tensor in tensors if tensor.dtype is dtype]
    return f", which is the dtype of {enumerated(names, 3)}" if names else ""


def _outermost(context: FailureContext) -> torch.nn.Module:
    span = context.call
    while span.parent is not None:
        span = span.parent
    return span.module


def _operands(context: FailureContext) -> Sequence[TensorInfo]:
    """Return the inputs of the operation that failed, if known, else those of the call."""
    return context.operation_inputs or context.call.inputs
