"""A model on one rank of a mesh: loaded, sharded, and ready to run."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, fields, replace
from typing import Any

from gptrace.errors import ConfigError, DeviceError
from gptrace.model.build import LoadedModel, architecture_of, load, wrap_module
from gptrace.model.devices import find_device
from gptrace.model.free_memory import check_memory
from gptrace.model.gpt import GPTModel
from gptrace.model.hugging_face import forward_arguments
from gptrace.model.interrupts import interrupts_allowed
from gptrace.model.meta_device import meta_copy, without_hooks
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import ModelSelection
from gptrace.sharding.measured_group import BACKENDS, measured_group, on_every_rank, wait_for_every_rank
from gptrace.sharding.plans import shard
from gptrace.sharding.request import SpreadRequest
from gptrace.sharding.simulated_group import BACKEND, SimulatedTensors, simulated_group
from gptrace.sharding.torch_distributed import DTensor, FSDPModule

Module = torch.nn.Module
Tensor = torch.Tensor
# The source of a model: the options that select it, or an existing module.
Source = ModelSelection | Module


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadModel(LoadedModel):
    """A LoadedModel whose module is sharded.

    request   the mesh, and the rank of this process
    backend   what carries the messages: "gloo", "nccl", or "fake" where they are simulated
    plan      the plan that sharded the module, in words
    tensors   those of a simulation, or None where it is measured
    """

    request: SpreadRequest
    backend: str
    plan: str
    tensors: SimulatedTensors | None

    @property
    def is_built_in(self) -> bool:
        """Whether all of its code is gptrace's own: not where a plan of the user's has changed it."""
        return self.request.plan is None and type(self.module) is GPTModel

    @property
    def has_numbers(self) -> bool:
        """Whether the tensors have values: not where the rank is simulated."""
        return self.tensors is None

    def without_gradients(self) -> AbstractContextManager[object]:
        """Return the context in which the module makes no gradients: FSDP does not run in inference mode."""
        return torch.no_grad()

    def running(self) -> AbstractContextManager[object]:
        """Return the context in which the module runs: that of simulated tensors."""
        return nullcontext() if self.tensors is None else self.tensors.running()

    def batch(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Return ids (B, T) as the module takes them."""
        ids = LoadedModel.batch(self, rows)  # super() does not know the class that slots make
        return ids if self.tensors is None else self.tensors.of(ids)

    def warm_up(self, batch: Tensor) -> None:
        """Run a module under FSDP once, so that the set-up of FSDP is not in the traced run.

        The trace leaves out by itself what DTensor does in its first run. An exception is left to the traced
        run.
        """
        under_fsdp = [module for module in self.module.modules() if isinstance(module, FSDPModule)]
        if not under_fsdp:
            return
        try:
            with self.running(), interrupts_allowed():
                self.module(batch, **self.arguments)
        except Exception:
            return
        for module in under_fsdp:
            module.reshard()  # the outermost keeps its parameters whole after a forward pass


@contextmanager
def spread_model(source: Source, request: SpreadRequest, name: str | None) -> Iterator[SpreadModel]:
    """Load a model and shard it, on the rank of this process; the process group ends with the block.

    A module that is given is copied, and stays as it is. Where interrupts are held, they act while it is
    loaded and sharded, but not while the group begins or ends. Raises an InputError or a RunError; where one
    rank cannot load the model, all of them raise.
    """
    if isinstance(source, Module):
        _refuse_spread(source)
    opened = _simulated if request.is_simulated else _measured
    with opened(source, request, name) as model:
        yield model


@contextmanager
def _simulated(source: Source, request: SpreadRequest, name: str | None) -> Iterator[SpreadModel]:
    device = source.device if isinstance(source, ModelSelection) else "meta"
    if device not in ("cpu", "meta", "auto"):
        hint = "drop --device, or measure with torchrun"
        raise DeviceError(f"a simulated rank has no device, but the device is {device}", hint)
    with interrupts_allowed():
        if isinstance(source, ModelSelection):
            loaded = load(replace(source, device="meta"))
        else:
            loaded = wrap_module(meta_copy(source), type(source).__name__, {"source": "none"})
    with simulated_group(request.rank, request.shape.size):
        loaded = _with_whole(loaded, request)
        with interrupts_allowed():
            module, plan = shard(loaded.module, request, "cpu")
        tensors = SimulatedTensors()
        tensors.materialise(module)
        facts = {"request": request, "backend": BACKEND, "plan": plan, "tensors": tensors}
        yield _spread(loaded, module.eval(), name, facts)


@contextmanager
def _measured(source: Source, request: SpreadRequest, name: str | None) -> Iterator[SpreadModel]:
    device = _own_device(source)
    with measured_group(device.type):
        with interrupts_allowed():
            loaded = _with_whole(on_every_rank(lambda: _loaded(source, device)), request)
            module, plan = shard(loaded.module, request, device.type)
        facts = {"request": request, "backend": BACKENDS[device.type], "plan": plan, "tensors": None}
        yield _spread(loaded, module.eval(), name, facts)
        wait_for_every_rank()  # no rank leaves while another still asks it for something


def _own_device(source: Source) -> torch.device:
    """Return the device of this process: of several GPUs in a machine, the one with its local rank."""
    if isinstance(source, Module):
        first = next(source.parameters(), None)
        device = torch.device("cpu") if first is None else first.device
    else:
        device = torch.device("meta") if source.device == "meta" else find_device(source.device)
    if device.type not in BACKENDS:
        hint = "drop --device, or run the command without torchrun, which simulates one rank"
        raise DeviceError(f"a mesh is measured on cpu or cuda, but the device is {device}", hint)
    if device.type == "cuda" and device.index is None:
        device = find_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
        torch.cuda.set_device(device)
    return device


def _loaded(source: Source, device: torch.device) -> LoadedModel:
    if isinstance(source, ModelSelection):
        return load(replace(source, device=str(device)))
    if device.type == "cpu":
        tensors = (*source.parameters(), *source.buffers())
        check_memory(sum(tensor.nbytes for tensor in tensors), "a copy of the model")
    return wrap_module(without_hooks(copy.deepcopy(source)), type(source).__name__, {"source": "given"})


def _with_whole(loaded: LoadedModel, request: SpreadRequest) -> LoadedModel:
    """Keep a copy of a model from before a user's plan, which may also divide numbers in its attributes."""
    if request.plan is None or loaded.architecture is not None:
        return loaded
    with suppress(Exception):  # objects of the user's may refuse to be copied
        return replace(loaded, whole=meta_copy(loaded.module).eval())
    return loaded


def _spread(loaded: LoadedModel, module: Module, name: str | None, facts: dict[str, Any]) -> SpreadModel:
    """Return the facts of a loaded model, with the sharded module in the place of its own."""
    kept = {field.name: getattr(loaded, field.name) for field in fields(LoadedModel)}
    architecture = loaded.architecture if module is loaded.module else architecture_of(module)
    # Without a cache, transformers reads the values of positions, and decides by them what it runs. A rank
    # that is simulated has no values, and should run what a measured one does.
    arguments = dict.fromkeys(forward_arguments(module), True)
    kept |= {"module": module, "architecture": architecture, "arguments": arguments}
    kept |= {"name": name or loaded.name, "is_private": True}
    return SpreadModel(**kept, **facts)


def _refuse_spread(module: Module) -> None:
    if any(isinstance(parameter, DTensor) for parameter in module.parameters()):
        hint = "trace it with gptrace.watch(model), or give the model before it was spread"
        raise ConfigError("the model is already spread over a mesh", hint)
