"""The model under test in another dtype, on another device, or with another implementation of attention."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from gptrace.model.devices import device_counts
from gptrace.model.quiet_torch import torch
from gptrace.verify.check.subject import CannotRunError, Subject

Tensor = torch.Tensor
Module = torch.nn.Module


def another(subject: Subject) -> Module:
    """Return a new copy in the model's own dtype; raise CannotRunError for one that cannot be copied."""
    module = subject.build()[0]
    if module is subject.loaded.module:
        raise CannotRunError("the model cannot be copied")
    return module


def in_dtype(subject: Subject, dtype: torch.dtype) -> Module:
    """Return a new copy in a dtype, with the weights of the original.

    A configuration that names a dtype is changed: code may read it in forward.
    """
    architecture = subject.loaded.architecture
    names = () if architecture is None else architecture.dtypes
    another(subject)
    module = subject.build(dict.fromkeys(names, dtype))[0].to(dtype)
    with torch.no_grad():
        for (_, parameter), own in zip(module.named_parameters(), subject.original.parameters(), strict=True):
            parameter.copy_(own)
    return module


def on_device(subject: Subject, device: str) -> Module:
    """Return a new copy on a device."""
    return another(subject).to(device)


def other_devices() -> Iterator[str]:
    """Yield the devices of this machine beside the CPU."""
    yield from device_counts().keys() - {"cpu", "meta"}


@contextmanager
def pretended(module: Module) -> Iterator[None]:
    """Run the block as if the module were on a CUDA device: tensors have a device and a shape, no values.

    torch checks the devices of what an operation takes, and raises where they differ, as a GPU would.
    """
    # There is no public way to these checks of devices.
    fake_tensors = import_module("torch._subclasses.fake_tensor")
    with fake_tensors.FakeTensorMode(allow_non_fake_inputs=True):
        for submodule in module.modules():
            for registry in (submodule._parameters, submodule._buffers):
                for name, tensor in registry.items():
                    if tensor is not None:
                        registry[name] = _moved(tensor)
        yield


def _moved(tensor: Tensor) -> Any:
    empty = torch.empty(tensor.shape, dtype=tensor.dtype, device="cuda")
    return torch.nn.Parameter(empty, False) if isinstance(tensor, torch.nn.Parameter) else empty
