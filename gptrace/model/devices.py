"""The devices of this machine: those that torch has a backend for, by torch's own names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from gptrace.errors import DeviceError
from gptrace.model.free_memory import available_bytes
from gptrace.model.offloading import computing_devices
from gptrace.model.quiet_torch import torch
from gptrace.wording import enumerated

Tensor = torch.Tensor
# Backends that a machine may have beside the one that torch calls its accelerator.
_KINDS = ("cuda", "xpu", "mps")


def find_device(name: str) -> torch.device:
    """Return the device called `name`; "auto" means the accelerator of this machine, or else the CPU.

    Raises DeviceError for an unknown device, or one that this machine does not have.

    >>> find_device("cpu:0"), find_device("meta:0")
    (device(type='cpu'), device(type='meta'))
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return torch.device("cpu") if accelerator is None else accelerator
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"{name!r} is not a device", _which_are_here()) from None
    count = device_counts(device.type).get(device.type, 0)
    # torch keeps the last 8 bits of a number, and so takes cuda:257 for cuda:1.
    if str(device) != name or (device.index or 0) >= count:
        raise DeviceError(f"this machine has no device {name!r}", _which_are_here())
    # There is one CPU and one meta device; the devices of their tensors have no index.
    return torch.device(device.type) if device.type in ("cpu", "meta") else device


def device_counts(*kinds: str) -> dict[str, int]:
    """Return how many devices torch can use here, by type, the CPU first; `kinds` are further types.

    >>> next(iter(device_counts().items()))
    ('cpu', 1)
    """
    counts = {"cpu": 1, "meta": 1}
    own = torch.accelerator.current_accelerator()
    for kind in (*_KINDS, *(() if own is None else (own.type,)), *kinds):
        backend: Any = getattr(torch, kind, None)
        if kind not in counts and callable(getattr(backend, "is_available", None)) and backend.is_available():
            counts[kind] = int(backend.device_count()) if hasattr(backend, "device_count") else 1
    return counts


def _which_are_here() -> str:
    names = [
        name
        for kind, count in device_counts().items()
        for name in ([kind] if count == 1 else [f"{kind}:{index}" for index in range(count)])
    ]
    return f"it has: {enumerated(names, 20)}; --device auto picks one"


def computes_float64(device: torch.device) -> bool:
    """Tell whether a device is known to compute in float64; Apple's GPUs and some others do not."""
    return device.type in ("cpu", "cuda", "meta")


def free_bytes(device: torch.device) -> int | None:
    """Return how many bytes a device has free for this process; None where torch cannot tell."""
    if device.type == "cpu":
        return available_bytes()
    tell: Any = getattr(torch.get_device_module(device), "mem_get_info", None)
    return None if tell is None else int(tell(device)[0])


def accelerators_of(module: torch.nn.Module) -> list[torch.device]:
    """Return the devices beside the CPU that a module runs on."""
    if not torch.accelerator.is_available():
        return []
    return [device for device in computing_devices(module) if device.type not in ("cpu", "meta")]


def accelerators_in_use() -> list[torch.device]:
    """Return the accelerators of this machine, if this process has used one."""
    own = torch.accelerator.current_accelerator(check_available=True)
    if own is None:
        return []
    is_initialised = getattr(torch.get_device_module(own), "is_initialized", None)
    if callable(is_initialised) and not is_initialised():
        return []
    return [torch.device(own.type, index) for index in range(torch.accelerator.device_count())]


def waiting_for(devices: Iterable[torch.device]) -> Callable[[], None] | None:
    """Return a function that waits until these devices have done their work; None where there are none.

    A kernel of an accelerator runs on after the call that has started it, so a clock has to wait for it.
    While a graph of kernels is captured, nothing runs, and to wait would spoil the capture.
    """
    devices = list(devices)
    if not devices:
        return None

    def wait() -> None:
        if torch.cuda.is_available() and torch.cuda.is_current_stream_capturing():
            return
        for device in devices:
            torch.accelerator.synchronize(device)

    return wait


def random_states(devices: Iterable[torch.device]) -> dict[str, Callable[[], object]]:
    """Return, by device, a function that puts back the present state of its random number generator."""
    restore: dict[str, Callable[[], object]] = {}
    for device in devices:
        backend: Any = torch.get_device_module(device)
        if not hasattr(backend, "get_rng_state"):
            continue
        place = () if device.type == "mps" else (device,)  # there is one
        state = backend.get_rng_state(*place)
        restore[str(device)] = partial(backend.set_rng_state, state, *place)
    return restore
