"""One rank of a mesh in a process alone: collectives that send nothing, and tensors without values.

Both come from parts of torch that are half private, its fake process group and FakeTensorMode. All that
gptrace knows of them is in this file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.testing._internal.distributed.fake_pg import FakeStore  # importing it makes the backend known

from gptrace.errors import RunError
from gptrace.model.quiet_torch import torch
from gptrace.sharding.torch_distributed import DTensor, distributed, forget_shardings

Module = torch.nn.Module
BACKEND = "fake"


@contextmanager
def simulated_group(rank: int, size: int) -> Iterator[None]:
    """Let this process be one of `size` ranks in the block, of which the others do not exist.

    Raises a RunError where the process is already in a real group.
    """
    if distributed.is_initialized():
        problem = "this process is already in a process group, so it cannot simulate a rank"
        raise RunError(problem, "simulate in a process of its own, or call destroy_process_group() first")
    distributed.init_process_group(BACKEND, rank=rank, world_size=size, store=FakeStore())
    try:
        yield
    finally:
        forget_shardings()
        distributed.destroy_process_group()


class SimulatedTensors:
    """Tensors with a shape, a dtype and a device, which take no memory, and a mode in which torch makes them.

    Modules are sharded on device meta, which is quick. They cannot run there: FSDP refuses parameters on
    meta, and DTensor could not tell the device of a process.
    """

    def __init__(self) -> None:
        # Code of a model may hold tensors with values, such as a table of positions.
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)

    def running(self) -> AbstractContextManager[object]:
        """Return the context in which the model runs."""
        return self._mode

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the simulated tensor of a real one."""
        return self._mode.from_tensor(tensor)

    def materialise(self, module: Module) -> None:
        """Give a module on device meta simulated tensors on the CPU: parameters, buffers, attributes."""
        tied = _tied_parameters(module)
        with torch.no_grad():
            module._apply(self._simulated)  # type: ignore[no-untyped-call]  # as to_empty() does
            for submodule in module.modules():
                for name, value in vars(submodule).items():
                    if isinstance(value, torch.Tensor) and value.is_meta:
                        setattr(submodule, name, self._simulated(value))
        for (first, first_name), *others in tied:
            for submodule, name in others:
                submodule._parameters[name] = first._parameters[first_name]

    def _simulated(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the simulated tensor of one on device meta, made without an operation of the mode.

        Each of these takes a millisecond, which for 96 blocks adds up to seconds.
        """
        if isinstance(tensor, DTensor):
            local = self._simulated(tensor._local_tensor)
            return DTensor(local, tensor._spec, requires_grad=tensor.requires_grad)  # type: ignore[no-untyped-call]
        if not tensor.is_meta:  # it is tied to one that came before
            return tensor
        # The storage is not that of `tensor`: torch warns of that of a simulated one, and FSDP looks at it.
        return FakeTensor(self._mode, torch.empty_like(tensor), torch.device("cpu"))


def _tied_parameters(module: Module) -> list[list[tuple[Module, str]]]:
    """Return the places of each parameter that has more than one."""
    places: defaultdict[int, list[tuple[Module, str]]] = defaultdict(list)
    for submodule in module.modules():
        for name, parameter in submodule._parameters.items():
            if parameter is not None:
                places[id(parameter)].append((submodule, name))
    return [of_one for of_one in places.values() if len(of_one) > 1]
