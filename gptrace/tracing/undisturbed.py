"""Run a module, and leave it and torch as they were."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from gptrace.model.devices import accelerators_of
from gptrace.model.gpt import GPTModel
from gptrace.model.interrupts import interrupts_held
from gptrace.model.quiet_torch import torch
from gptrace.model.random_state import kept_random_state
from gptrace.tracing.module_calls import is_watch
from gptrace.tracing.one_at_a_time import one_at_a_time
from gptrace.tracing.recursion_room import recursion_room

Module = torch.nn.Module
is_lazy = torch.nn.parameter.is_lazy
_ABSENT = object()


@contextmanager
def undisturbed_evaluation(module: Module) -> Iterator[None]:
    """Run the block with `module` in evaluation mode and without gradients, then restore its state.

    One thread at a time does so with a module: another would take the state in between for its own.

    Restored are the train/eval flag and the attributes of each submodule (parameters, buffers, hooks and
    submodules by name, and any that its code sets), the values of buffers and of embeddings that renormalise
    themselves, and the random number generators (of the CPU and of the module's other devices). A lazy
    module stays initialised once it has run, as it would without gptrace.
    """
    with recursion_room(), one_at_a_time(module), _restored(module):
        yield


@contextmanager
def _restored(module: Module) -> Iterator[None]:
    submodules = list(module.modules())
    flags = [(submodule, submodule.training) for submodule in submodules]
    attributes = [(submodule, _attributes(submodule)) for submodule in submodules]
    values = [(tensor, tensor.detach().clone()) for tensor in _overwritable_tensors(module, submodules)]
    # Inference mode is faster, but tensors made in it can never be trained; the user's module may keep some.
    without_gradients = torch.inference_mode if type(module) is GPTModel else torch.no_grad
    try:
        with kept_random_state(accelerators_of(module)), without_gradients():
            if any(training for _, training in flags):
                module.eval()
            yield
    finally:
        with interrupts_held():
            _restore_flags(module, flags)
            for submodule, before in attributes:
                _restore_attributes(submodule, before)
            with torch.no_grad():
                for tensor, saved in values:
                    if not (tensor.is_meta or torch.equal(tensor, saved)):
                        tensor.copy_(saved)


@contextmanager
def run_uncompiled() -> Iterator[None]:
    """Run compiled modules as plain Python in the block: compiled code runs no hooks."""
    if "torch._dynamo" not in sys.modules:  # never imported, so nothing was compiled
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def _restore_flags(module: Module, flags: list[tuple[Module, bool]]) -> None:
    for submodule, training in flags:
        # A `train` method that does more on the way to evaluation undoes it on the way back.
        if training and type(submodule).train is not Module.train:
            submodule.train(True)
    for submodule, training in flags:
        submodule.training = training


def _attributes(module: Module) -> dict[str, Any] | None:
    """Return the attributes, with copies of the registries; None where they cannot be put back.

    Those of a scripted module are in C++. A lazy module becomes another one in its first run, for good.
    """
    lazy = (parameter is not None and is_lazy(parameter) for parameter in module._parameters.values())
    if isinstance(module, torch.jit.ScriptModule) or any(lazy):
        return None
    # The registries are the dictionaries in private attributes: `_parameters`, `_buffers`, `_modules`,
    # `_forward_hooks` and so on. There is no public way to copy or restore hooks.
    return {
        name: dict(value) if name.startswith("_") and isinstance(value, dict) else value
        for name, value in vars(module).copy().items()  # another thread may begin a watch meanwhile
    }


def _restore_attributes(module: Module, before: dict[str, Any] | None) -> None:
    if before is None:
        return
    attributes = vars(module)
    # The watches of other threads come and go by themselves.
    for name in attributes.keys() - before.keys():
        value = attributes.get(name, _ABSENT)
        if value is not _ABSENT and not is_watch(value):
            del attributes[name]
    for name, value in before.items():
        current = attributes.get(name, _ABSENT)
        if current is value or name == "training" or is_watch(value):
            continue
        if isinstance(value, dict) and name.startswith("_") and isinstance(current, dict):
            # Compared by identity, as == of tensors gives a tensor. Most registries are empty.
            if (value or current) and (
                current.keys() != value.keys() or any(current[key] is not value[key] for key in value)
            ):
                current.clear()
                current.update(value)
        elif not is_watch(current):
            attributes[name] = value


def _overwritable_tensors(module: Module, submodules: Iterable[Module]) -> list[torch.Tensor]:
    """Return the tensors of a module that a forward pass may write into."""
    kinds = (torch.nn.Embedding, torch.nn.EmbeddingBag)
    embeddings = (submodule for submodule in submodules if isinstance(submodule, kinds))
    renormalised = (embedding.weight for embedding in embeddings if embedding.max_norm is not None)
    return [tensor for tensor in (*module.buffers(), *renormalised) if not is_lazy(tensor)]
