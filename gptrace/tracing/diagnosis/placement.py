"""Failures due to memory, devices and dtypes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gptrace.model.dtypes import dtype_name
from gptrace.model.quiet_torch import torch
from gptrace.tracing.diagnosis.context import FailureContext
from gptrace.tracing.tensors import TensorInfo

_OUT_OF_MEMORY = r"(CUDA|MPS|HIP|XPU) (backend )?out of memory|DefaultCPUAllocator"
_ALLOCATION = r"allocate (?:memory: you tried to allocate )?([\d.]+ ?(?:bytes|[KMGT]iB))"
_UNEQUAL_DEVICES = r"same device|on the expected device|found two devices|device meta|not on the expected"
_UNEQUAL_DTYPES = (
    r"same dtype, but got|expected scalar type|[Ii]nput type \(.*weight type|to have the same dtype, but"
)


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
    facts = [f"inputs on {devices}"] if devices else []
    facts += [f"parameters on {parameter.device}"] if parameter is not None else []
    where = f" ({', '.join(facts)})" if facts else ""
    return (
        f"tensors on different devices meet in {context.name}{where}; create new tensors with "
        "device=x.device, or move them with .to()"
    )


def dtype_mismatch(context: FailureContext) -> str:
    """An operation got tensors of different dtypes."""
    if not isinstance(context.error, RuntimeError) or not re.search(_UNEQUAL_DTYPES, context.message):
        return ""
    dtypes = " and ".join(dict.fromkeys(dtype_name(info.dtype) for info in _operands(context)))
    if not dtypes:
        return ""
    parameter = next(context.call.module.parameters(recurse=False), None)
    own = f", but its parameters are {dtype_name(parameter.dtype)}" if parameter is not None else ""
    return (
        f"{context.name} got {dtypes}{own}; convert the input with x.to(weight.dtype), or the model with "
        "model.to(dtype)"
    )


def _operands(context: FailureContext) -> Sequence[TensorInfo]:
    """Return the inputs of the operation that failed, if known, else those of the call."""
    return context.operation_inputs or context.call.inputs
