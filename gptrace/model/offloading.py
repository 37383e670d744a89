"""Models whose weights accelerate brings in for each call, from memory or from disk, and takes away after it.

Between the calls such a parameter is on device meta, and the hook of its module knows where its numbers are.
accelerate is not imported here: the attributes of its hooks tell what they do.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from gptrace.model.quiet_torch import torch

Module = torch.nn.Module
Tensor = torch.Tensor
DISK = "disk"
_HOOK = "_hf_hook"  # `add_hook_to_module` sets it, beside `forward` and `_old_forward`
# `dispatch_model` replaces those of these methods that the machine has a use for.
_MOVING_METHODS = ("to", "cuda", "npu", "xpu", "mlu", "sdaa", "musa", "neuron")


class OffloadedTensor(NamedTuple):
    """Where the numbers of a tensor on device meta are between calls: a device, or "disk".

    `identity` is the same for two tensors that share one memory or one file. `read` returns the numbers, not
    to be written into.
    """

    device: str
    identity: object
    read: Callable[[], Tensor]


def device_hook(module: Module) -> Any:
    """Return the hook that accelerate has put around the calls of this module itself, or None."""
    return vars(module).get(_HOOK)


def has_device_hooks(module: Module) -> bool:
    """Tell whether accelerate decides where the parts of a module lie."""
    return any(device_hook(part) is not None for part in module.modules())


def offloaded_tensors(module: Module) -> dict[int, OffloadedTensor]:
    """Return the parameters and buffers that hooks bring in, each by the id of the tensor on device meta."""
    offloaded: dict[int, OffloadedTensor] = {}
    for part in module.modules():
        for hook in _placing_hooks(part):
            if not hook.offload or hook.weights_map is None:
                continue
            for name, tensor in _tensors(part, with_submodules=hook.place_submodules):
                entry = _entry(hook.weights_map, name) if tensor.is_meta else None
                if entry is not None:
                    offloaded[id(tensor)] = entry
    return offloaded


def is_without_numbers(module: Module) -> bool:
    """Tell whether any parameter has a shape alone: it is on device meta, and nothing brings it in.

    >>> is_without_numbers(torch.nn.Linear(3, 2, device="meta"))
    True
    """
    on_meta = [parameter for parameter in module.parameters() if parameter.is_meta]
    if not on_meta:
        return False
    offloaded = offloaded_tensors(module)
    return any(id(parameter) not in offloaded for parameter in on_meta)


def computing_device(module: Module) -> torch.device:
    """Return the device that the first parameter is on while the module runs; the CPU where there is none.

    >>> computing_device(torch.nn.Linear(3, 2, device="meta"))
    device(type='meta')
    """
    first = next(module.parameters(), None)
    if first is None:
        return torch.device("cpu")
    return first.device if not first.is_meta else next(_devices_of_hooks(module), first.device)


def computing_devices(module: Module) -> list[torch.device]:
    """Return the devices that the parameters are on while the module runs, each once."""
    devices = dict.fromkeys(parameter.device for parameter in module.parameters())
    if torch.device("meta") in devices:
        devices |= dict.fromkeys(_devices_of_hooks(module))
    return list(devices)


def numbers_of(module: Module, tensor: Tensor) -> Tensor:
    """Return a parameter or buffer of a module, or what is brought in for it; not to be written into."""
    entry = offloaded_tensors(module).get(id(tensor)) if tensor.is_meta else None
    return tensor if entry is None else entry.read()


def copy_with_numbers(module: Module) -> Module:
    """Return a deep copy whose parameters have their numbers, on the CPU where they are brought in.

    Tensors that share their memory share it in the copy.
    """
    offloaded = offloaded_tensors(module)
    memo = without_device_hooks_memo(module)
    copies: dict[object, Tensor] = {}
    for _, tensor in _tensors(module, with_submodules=True):
        entry = offloaded.get(id(tensor))
        if entry is None:
            continue
        if entry.identity not in copies:
            numbers = entry.read().detach().clone()
            is_parameter = isinstance(tensor, torch.nn.Parameter)
            copies[entry.identity] = (
                torch.nn.Parameter(numbers, tensor.requires_grad) if is_parameter else numbers
            )
        memo[id(tensor)] = copies[entry.identity]
    return without_device_hooks(copy.deepcopy(module, memo))


def without_device_hooks_memo(module: Module) -> dict[int, Any]:
    """Return a memo for `copy.deepcopy` that leaves hooks out: they hold all weights once more."""
    return {id(hook): None for part in module.modules() if (hook := device_hook(part)) is not None}


def without_device_hooks(copied: Module) -> Module:
    """Remove from a copy the hooks that accelerate has put around the calls of the original; return it."""
    for part in copied.modules():
        attributes = vars(part)
        if _HOOK not in attributes:
            continue
        del attributes[_HOOK]
        attributes.pop("forward", None)
        before = attributes.pop("_old_forward", None)
        if before is not None and getattr(before, "__func__", None) is not type(part).forward:
            attributes["forward"] = before  # the instance has one of its own
        for name in _MOVING_METHODS:  # these move the original
            if hasattr(attributes.get(name), "__wrapped__"):
                del attributes[name]
    return copied


def _devices_of_hooks(module: Module) -> Iterator[torch.device]:
    """Yield the devices that hooks bring weights to."""
    for part in module.modules():
        for hook in _placing_hooks(part):
            if hook.offload and hook.execution_device is not None:
                yield torch.device(hook.execution_device)


def _placing_hooks(module: Module) -> Iterator[Any]:
    """Yield the hooks of a module itself that decide on its device, those in a sequence of hooks too."""
    hook = device_hook(module)
    for each in getattr(hook, "hooks", (hook,)):
        if hasattr(each, "weights_map") and hasattr(each, "offload"):
            yield each


def _tensors(module: Module, *, with_submodules: bool) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(recurse=with_submodules, remove_duplicate=False)
    yield from module.named_buffers(recurse=with_submodules, remove_duplicate=False)


def _entry(weights: Any, name: str) -> OffloadedTensor | None:
    """Return where a map of weights has the numbers of a name, or None; nothing is read from a disk."""
    while hasattr(weights, "dataset") and hasattr(weights, "prefix"):
        weights, name = weights.dataset, f"{weights.prefix}{name}"
    in_memory: object = getattr(weights, "state_dict", weights)
    if isinstance(in_memory, Mapping) and name in in_memory:
        tensor = in_memory[name]
        return OffloadedTensor(str(tensor.device), (tensor.data_ptr(), tensor.shape), lambda: tensor)
    on_disk: Mapping[str, Any] = getattr(weights, "index", {})
    if name not in on_disk:
        return None
    file = on_disk[name].get("safetensors_file")
    # Without such a file, each weight has its own.
    identity = (weights.save_folder, name) if file is None else (file, on_disk[name].get("weight_name", name))
    return OffloadedTensor(DISK, identity, lambda: weights[name])
