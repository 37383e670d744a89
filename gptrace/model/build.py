"""A ModelSelection → a model with its weights, on its device, and the facts that the other stages need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from gptrace.errors import DeviceError, OptionError
from gptrace.model.architecture import CONTEXT_NAMES, Architecture
from gptrace.model.config import GPTConfig
from gptrace.model.devices import find_device
from gptrace.model.distributed_wrappers import around, own_class, wrapped_model
from gptrace.model.dtype_choice import settled, warn_if_slow
from gptrace.model.free_memory import as_memory_error, check_memory
from gptrace.model.gpt import GPTModel
from gptrace.model.hugging_face import (
    build_hugging_face,
    forward_arguments,
    hugging_face_architecture,
    is_hugging_face,
)
from gptrace.model.interrupts import interrupts_allowed, interrupts_held
from gptrace.model.meta_device import meta_model
from gptrace.model.module_tree import check_submodules
from gptrace.model.offloading import computing_device, has_device_hooks
from gptrace.model.quiet_torch import torch
from gptrace.model.random_state import exclusive_random_state
from gptrace.model.selection import (
    DTYPES,
    GPTSelection,
    HuggingFaceSelection,
    Limits,
    ModelSelection,
    UserModelSelection,
    command_for,
)
from gptrace.model.user_model import build_user_model
from gptrace.model.weights.load import load_state, load_weights
from gptrace.model.weights.packaged import damage_of_package
from gptrace.record import ProductRates
from gptrace.wording import one_line, readable_bytes

Module = torch.nn.Module


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to run.

    name           its name in reports
    weights        where its weights come from, for reports
    limits         the ids and the number of tokens that it takes, as far as known
    architecture   how to build it at other sizes, or None
    arguments      keyword arguments of its forward pass, beside the ids
    is_private     no other code holds the module, so it need not be restored after a run
    selection      how it was selected, or None for a module that was given
    dtype_rates    what was measured to pick its dtype, if that was `auto`
    whole          a copy on device meta from before the module was spread, where nothing can build such a one
    """

    module: Module
    name: str
    weights: dict[str, Any]
    limits: Limits
    architecture: Architecture | None
    arguments: dict[str, Any]
    is_private: bool = False
    selection: ModelSelection | None = None
    dtype_rates: ProductRates | None = None
    whole: Module | None = None

    def command(self, name: str, *options: str) -> str:
        """Return a command that asks gptrace about this model: see `command_for`."""
        return command_for(None if self.selection is None else self.selection.typed, name, *options)

    @property
    def device(self) -> torch.device:
        """The device of the first parameter while the model runs; the CPU for a module without parameters."""
        return computing_device(self.module)

    @property
    def is_built_in(self) -> bool:
        """Whether all of its code is gptrace's own, so that what it raises is, too."""
        return type(self.module) is GPTModel

    @property
    def has_numbers(self) -> bool:
        """Whether its tensors have values: on device meta they have shapes alone."""
        return self.device.type != "meta"

    def batch(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        """Return ids (B, T) as the module takes them."""
        return torch.tensor(rows, dtype=torch.int64, device=self.device)

    def without_gradients(self) -> AbstractContextManager[object]:
        """Return the context in which a private module makes no gradients."""
        return torch.inference_mode()

    def running(self) -> AbstractContextManager[object]:
        """Return the context in which the module runs, inside of the other."""
        return nullcontext()

    def warm_up(self, batch: torch.Tensor) -> None:
        """Get ready for a traced run of these ids (B, T)."""


def load(model: ModelSelection | Module) -> LoadedModel:
    """Build the selected model and load its weights; a module is wrapped as it is.

    The model is on the selected device, in the selected dtype and in evaluation mode (a user's module keeps
    its mode). Raises an InputError or a RunError for a model that cannot be built.
    """
    if isinstance(model, Module):
        return wrap_module(model, type(model).__name__, {"source": "given"})
    if model.threads is not None:
        torch.set_num_threads(model.threads)
    device = find_device(model.device)
    model, rates = settled(model, device)
    if rates is None:
        warn_if_slow(model.dtype, device)
    if isinstance(model, UserModelSelection):
        loaded = _load_user_model(model, device)
    elif isinstance(model, HuggingFaceSelection):
        module, weights = build_hugging_face(model, device)
        loaded = wrap_module(module, model.name, _load_state(module, model, device) or weights)
    else:
        assert isinstance(model, GPTSelection)
        module, weights = _build_gpt(model, device)
        loaded = wrap_module(module, model.name, weights)
    module = loaded.module
    if has_device_hooks(module):
        _check_placement(module, model)
    elif device.type != "meta":
        module = _moved(module, device, loaded.name)
    if model.dtype is not None and not has_device_hooks(module):
        module = module.to(dtype=getattr(torch, model.dtype))
    # Other code may use a user's module; it is put into evaluation mode only while it runs.
    module = module if isinstance(model, UserModelSelection) else module.eval()
    return replace(loaded, module=module, selection=model, dtype_rates=rates)


def _moved(module: Module, device: torch.device, name: str) -> Module:
    """Move a module to a device, unless it is there; raise for one without numbers, or without room there."""
    tensors = (*module.parameters(), *module.buffers())
    if all(tensor.device == device for tensor in tensors):
        return module
    if any(tensor.is_meta for tensor in tensors):
        problem = f"{name} holds tensors on device meta, which have shapes alone"
        raise DeviceError(problem, "use gptrace run --device meta, or build the model with numbers")
    try:
        return module.to(device)
    except RuntimeError as error:
        needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        what = f"{name} on {device}: it needs {readable_bytes(needed)}"
        problem = f"{name} cannot be put on {device}: {one_line(error)}"
        hint = "--device cpu always works"
        raise as_memory_error(error, what) or DeviceError(problem, hint) from None


def _check_placement(module: Module, selection: ModelSelection) -> None:
    """Raise an InputError where a model that accelerate has placed is asked to be elsewhere, or another."""
    problem = f"{selection.name} is placed by accelerate's hooks"
    if selection.device not in ("cpu", "auto"):
        raise DeviceError(f"{problem}, so it cannot be put on {selection.device}", "drop --device")
    if isinstance(selection, UserModelSelection) and selection.dtype is not None:
        hint = "drop --dtype, or build the model in that dtype"
        raise OptionError(f"{problem}, so its dtype cannot be changed", hint, option="dtype")


def wrap_module(module: Module, name: str, weights: dict[str, Any]) -> LoadedModel:
    """Return a LoadedModel around a module, with the facts that the module itself holds.

    Raises ConfigError for a module whose submodules PyTorch cannot walk through.
    """
    check_submodules(module)
    if type(module) is GPTModel:
        limits = Limits(module.config.vocab_size, module.config.context_length)
    elif is_hugging_face(module):
        config = module.config
        sizes = (getattr(config, "vocab_size", None), getattr(config, "max_position_embeddings", None))
        vocab_size, context = (
            size if type(size) is int and size > 0 else None for size in sizes
        )  # -1 stands for no limit
        limits = Limits(vocab_size, context)
    else:
        limits = Limits(None, _configured_context(module), is_certain=False)
    return LoadedModel(module, name, weights, limits, architecture_of(module), forward_arguments(module))


def _configured_context(module: Module) -> int | None:
    """Return the context length that the `config` of a user's module holds, or the module itself, or None."""
    for holder in (getattr(module, "config", None), module):
        settings = holder if isinstance(holder, Mapping) else getattr(holder, "__dict__", {})
        for name in CONTEXT_NAMES:
            if type(settings.get(name)) is int and settings[name] > 0:
                return int(settings[name])
    return None


def architecture_of(module: Module) -> Architecture | None:
    """Return how to build a module at other sizes, if its own configuration says so, or None."""
    inside = wrapped_model(module)
    if inside is not None:
        architecture = architecture_of(inside)
        return None if architecture is None else around(module, architecture)
    if isinstance(module, GPTModel) and own_class(type(module)) is GPTModel:  # a subclass may need others
        return _gpt_architecture(module.config)
    return hugging_face_architecture(module)


@lru_cache(maxsize=8)
def _gpt_architecture(config: GPTConfig) -> Architecture:
    return Architecture(
        config.to_dict(), lambda changes: GPTModel(GPTConfig.from_mapping(changes, base=config))
    )


def _build_gpt(selection: GPTSelection, device: torch.device) -> tuple[GPTModel, dict[str, Any]]:
    if selection.config is None:
        try:
            with damage_of_package(selection.name, selection.origin):
                return load_weights(selection, device)
        except RuntimeError as error:
            raise as_memory_error(error, f"{selection.name} on {device}") or error from None
    if device.type == "meta":
        return meta_model(selection.config), {"source": "none"}
    return _random_gpt(selection, selection.config), {"source": "random", "seed": selection.seed}


def _load_user_model(selection: UserModelSelection, device: torch.device) -> LoadedModel:
    module, architecture, description = build_user_model(selection, device)
    weights: dict[str, Any] = {"source": "none"}
    if device.type != "meta":
        seed = {} if architecture is None else {"seed": selection.seed}
        weights = {"source": "own code", "made_by": description, **seed}
    loaded = wrap_module(module, selection.name, _load_state(module, selection, device) or weights)
    limits = loaded.limits
    if architecture is not None and loaded.architecture is None:
        # The limits are guessed from the names of settings. On device meta they are taken for certain, since
        # an embedding without values accepts any id.
        guessed = architecture.limits()
        context = guessed.context_length or limits.context_length
        limits = guessed if device.type == "meta" else Limits(None, context, is_certain=False)
    return replace(loaded, architecture=loaded.architecture or architecture, limits=limits)


def _load_state(module: Module, selection: ModelSelection, device: torch.device) -> dict[str, Any] | None:
    """Load the state dict of `--weights PATH`; return the facts about it, or None without a path."""
    if selection.weights is None or device.type == "meta":
        return None
    return load_state(module, selection.weights)


def _random_gpt(selection: GPTSelection, config: GPTConfig) -> GPTModel:
    """Build the model with random weights, and leave the caller's random number generators as they were.

    The weights are drawn on the CPU in float32 for every device and dtype, so that a seed gives the same
    numbers everywhere.
    """
    count = config.parameter_count()
    what = f"{selection.name} with {count:,} parameters"
    needed = count * max(DTYPES["float32"], DTYPES[selection.dtype or "float32"])
    check_memory(needed, what)
    try:
        with interrupts_held(), exclusive_random_state(), torch.device("cpu"), interrupts_allowed():
            # torch.manual_seed would also reseed the caller's GPUs, whose state is not restored here.
            torch.default_generator.manual_seed(selection.seed)
            module = GPTModel(config)
    except RuntimeError as error:
        raise as_memory_error(error, f"{what}: it needs {readable_bytes(needed)}") or error from None
    return module
