"""One rank of a mesh in a process alone: collectives that send nothing, and tensors without values.

Both come from parts of torch that are half private, its fake process group and FakeTensorMode. All that
gptrace knows of them is in this file.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.testing._internal.distributed.fake_pg import FakeStore  # importing it makes the backend known

from gptrace.errors import ConfigError, RunError
from gptrace.model.distributed_wrappers import class_name
from gptrace.model.forked_children import can_take, in_forked_child
from gptrace.model.quiet_torch import torch
from gptrace.sharding.torch_distributed import DTensor, distributed, excepthook_kept, forget_shardings
from gptrace.wording import one_line

Module = torch.nn.Module
# Where a tensor is: the parameters or the buffers of a module by name, and its name there.
_Place = tuple[dict[str, Any], str]
BACKEND = "fake"
# A process has one group, which all of its threads share.
_lock = threading.RLock()


@in_forked_child
def _renew_lock() -> None:
    global _lock
    if not can_take(_lock):
        _lock = threading.RLock()


# torch logs each error of a kernel on simulated tensors with its traceback; the error itself is told.
_log = logging.getLogger("torch._subclasses.fake_tensor")


@contextmanager
def simulated_group(rank: int, size: int) -> Iterator[None]:
    """Let this process be one of `size` ranks in the block, of which the others do not exist.

    Threads take turns. Raises a RunError where the process is already in a group.
    """
    with _lock, excepthook_kept():
        if distributed.is_initialized():
            problem = "this process is already in a process group, so it cannot simulate a rank"
            raise RunError(problem, "simulate in a process of its own, or call destroy_process_group() first")
        distributed.init_process_group(BACKEND, rank=rank, world_size=size, store=FakeStore())
        try:
            yield
        finally:
            forget_shardings()
            if distributed.is_initialized():  # a plan may have ended it
                distributed.destroy_process_group()


class SimulatedTensors:
    """Tensors with a shape, a dtype and a device, which take no memory, and a mode in which torch makes them.

    Modules are sharded on device meta, which is quick. They cannot run there: FSDP refuses parameters on
    meta, and DTensor could not tell the device of a process.
    """

    def __init__(self) -> None:
        # Code of a model may hold tensors with values, such as a table of positions.
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the block, and the model in it, on simulated tensors."""
        with self._mode, _unlogged():
            yield

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the simulated tensor of a real one."""
        return self._mode.from_tensor(tensor)

    def materialise(self, module: Module) -> None:
        """Give a module on device meta simulated tensors on the CPU: parameters, buffers, attributes.

        Raises a ConfigError for a module that cannot have them, such as one of TorchScript.
        """
        tied = _tied_tensors(module)
        try:
            with torch.no_grad():
                module._apply(self._simulated)  # type: ignore[no-untyped-call]  # as to_empty() does
                for submodule in module.modules():
                    for name, value in vars(submodule).items():
                        if isinstance(value, torch.Tensor) and value.is_meta:
                            setattr(submodule, name, self._simulated(value))
        except (RuntimeError, ValueError) as error:
            problem = f"{class_name(module)} cannot be simulated: {one_line(error)}"
            raise ConfigError(problem, "measure it: start the processes with torchrun") from error
        for (first, first_name), *others in tied:
            for tensors, name in others:
                tensors[name] = first[first_name]

    def _simulated(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the simulated tensor of one on device meta, made without an operation of the mode.

        Each of these takes a millisecond, which for 96 blocks adds up to seconds.
        """
        if isinstance(tensor, DTensor):
            local = self._simulated(tensor._local_tensor)
            return DTensor(local, tensor._spec, requires_grad=tensor.requires_grad)  # type: ignore[no-untyped-call]
        if isinstance(tensor, FakeTensor):  # it is tied to one that came before
            return tensor
        # The storage is not that of `tensor`: torch warns of that of a simulated one, and FSDP looks at it.
        return FakeTensor(self._mode, torch.empty_like(tensor, device="meta"), torch.device("cpu"))


@contextmanager
def _unlogged() -> Iterator[None]:
    """Drop what torch logs in this thread about kernels that raise in the block."""
    own = threading.get_ident()

    def is_of_others(record: logging.LogRecord) -> bool:
        return record.thread != own

    _log.addFilter(is_of_others)
    try:
        yield
    finally:
        _log.removeFilter(is_of_others)


def _tied_tensors(module: Module) -> list[list[_Place]]:
    """Return the places of each parameter and of each buffer that has more than one."""
    places: defaultdict[int, list[_Place]] = defaultdict(list)
    for submodule in module.modules():
        for tensors in (submodule._parameters, submodule._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    places[id(tensor)].append((tensors, name))
    return [of_one for of_one in places.values() if len(of_one) > 1]
