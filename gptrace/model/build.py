"""A ModelSelection → a model with its weights, on its device, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from gptrace.errors import DeviceError
from gptrace.model.architecture import CONTEXT_NAMES, Architecture
from gptrace.model.config import GPTConfig
from gptrace.model.gpt import GPTModel
from gptrace.model.hugging_face import architecture as hugging_face_architecture
from gptrace.model.hugging_face import build_hugging_face, forward_arguments, is_hugging_face
from gptrace.model.memory import as_memory_error, check_memory
from gptrace.model.meta_device import meta_model
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import (
    GPTSelection,
    HuggingFaceSelection,
    Limits,
    ModelSelection,
    UserModelSelection,
)
from gptrace.model.user_model import build_user_model
from gptrace.model.weights.load import fill, load_weights
from gptrace.wording import readable_bytes

Module = torch.nn.Module
_UNKNOWN = Limits(None, None)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to run.

    `name` and `weights` are for the reports, `limits` what the model takes where that is known,
    `architecture` how to build it at other sizes, `arguments` what its forward gets beside the ids.
    `is_private`: nobody else has it, so nothing on it needs to be put back.
    """

    module: Module
    name: str
    weights: dict[str, Any]
    limits: Limits = _UNKNOWN
    architecture: Architecture | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    is_private: bool = False

    @property
    def device(self) -> torch.device:
        """Where its parameters are; the CPU for a module without any."""
        first = next(self.module.parameters(), None)
        return torch.device("cpu") if first is None else first.device


def load(model: ModelSelection | Module) -> LoadedModel:
    """Build what was chosen; a module that is there already is taken as it is."""
    if isinstance(model, Module):
        return described(model, type(model).__name__, {"source": "given"})
    if model.threads is not None:
        torch.set_num_threads(model.threads)
    device = find_device(model.device)
    if isinstance(model, UserModelSelection):
        loaded = _own(model, device)
    elif isinstance(model, HuggingFaceSelection):
        module, weights = build_hugging_face(model, device)
        loaded = described(module, model.name, _filled(module, model, device) or weights)
    else:
        assert isinstance(model, GPTSelection)
        module, weights = _gpt(model, device)
        loaded = described(module, model.name, weights)
    dtype = {} if model.dtype is None else {"dtype": getattr(torch, model.dtype)}
    stays = device.type == "meta" or not _is_elsewhere(loaded.module, device)
    module = loaded.module if stays else loaded.module.to(device)
    module = module.to(**dtype) if dtype else module
    # Somebody's own object may be in use elsewhere; it is turned to evaluation while it runs.
    return replace(loaded, module=module if isinstance(model, UserModelSelection) else module.eval())


def _is_elsewhere(module: Module, device: torch.device) -> bool:
    return any(tensor.device != device for tensor in (*module.parameters(), *module.buffers()))


def described(module: Module, name: str, weights: dict[str, Any]) -> LoadedModel:
    """Return what is known of a module from the module itself."""
    limits = _UNKNOWN
    if type(module) is GPTModel:
        limits = Limits(module.config.vocab_size, module.config.context_length)
    elif is_hugging_face(module):
        told = module.config
        sizes = (getattr(told, "vocab_size", None), getattr(told, "max_position_embeddings", None))
        vocab_size, context = (size if type(size) is int else None for size in sizes)
        limits = Limits(vocab_size, context)
    else:
        limits = Limits(None, _context_told(module), is_certain=False)
    return LoadedModel(module, name, weights, limits, architecture_of(module), forward_arguments(module))


def _context_told(module: Module) -> int | None:
    """Return how many tokens somebody's own module says that it takes: in its configuration, or itself."""
    config = getattr(module, "config", None)
    for holder in (config, module):
        told = holder if isinstance(holder, Mapping) else getattr(holder, "__dict__", {})
        for name in CONTEXT_NAMES:
            if type(told.get(name)) is int and told[name] > 0:
                return int(told[name])
    return None


def architecture_of(module: Module) -> Architecture | None:
    """Return how a module is built at other sizes, where the module itself tells that."""
    if type(module) is GPTModel:  # a subclass may do anything
        return _gpt_architecture(module.config)
    return hugging_face_architecture(module)


@lru_cache(maxsize=8)
def _gpt_architecture(config: GPTConfig) -> Architecture:
    def build(changes: Mapping[str, int]) -> Module:
        return GPTModel(GPTConfig.from_mapping(changes, base=config))

    return Architecture(config.to_dict(), build)


def _gpt(choice: GPTSelection, device: torch.device) -> tuple[GPTModel, dict[str, Any]]:
    if choice.config is None:
        return load_weights(choice, device)
    if device.type == "meta":
        return meta_model(choice.config), {"source": "none"}
    return _random(choice, choice.config, device), {"source": "random", "seed": choice.seed}


def _own(choice: UserModelSelection, device: torch.device) -> LoadedModel:
    module, architecture, made_by = build_user_model(choice, device)
    said: dict[str, Any] = {"source": "own code", "made_by": made_by}
    if architecture is not None:
        said["seed"] = choice.seed
    if device.type == "meta":
        said = {"source": "none"}
    loaded = described(module, choice.name, _filled(module, choice, device) or said)
    limits = loaded.limits
    if architecture is not None and loaded.architecture is None:
        # A guess from the names of its settings; on device meta nothing else would notice.
        guessed = architecture.limits()
        context = guessed.context_length or limits.context_length
        limits = guessed if device.type == "meta" else Limits(None, context, is_certain=False)
    return replace(loaded, architecture=loaded.architecture or architecture, limits=limits)


def _filled(module: Module, choice: ModelSelection, device: torch.device) -> dict[str, Any] | None:
    """Put the tensors of `--weights PATH` into a module that is not our GPTModel."""
    if choice.weights is None or device.type == "meta":
        return None
    return fill(module, choice.weights)


def _random(choice: GPTSelection, config: GPTConfig, device: torch.device) -> GPTModel:
    """Make the model with random weights; the caller's random numbers stay as they were.

    The weights are drawn on the CPU in float32 whatever the device and the dtype, so that one seed means
    the same numbers everywhere.
    """
    what = f"{choice.name} with {config.parameter_count():,} parameters"
    check_memory(choice.parameter_bytes(), what)
    try:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            # Not torch.manual_seed: it would reseed the caller's accelerators too.
            torch.default_generator.manual_seed(choice.seed)
            module = GPTModel(config)
        return module.to(device)
    except RuntimeError as error:
        needed = f"{what}: it needs {readable_bytes(choice.parameter_bytes())}"
        raise as_memory_error(error, needed) or error from None


def find_device(name: str) -> torch.device:
    """Return the device of that name if this machine has it; "auto" is the fastest one there is."""
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"{name!r} is not a device", "write it like cuda or cuda:0") from None
    there = {"cuda": cuda, "mps": mps}.get(device.type, True)
    if there and device.type == "cuda" and device.index is not None:
        there = device.index < torch.cuda.device_count()
    if there and device.type == "cpu":
        there = not device.index
    if not there:
        found = ", ".join(["cpu", *["cuda"] * cuda, *["mps"] * mps])
        raise DeviceError(
            f"device {name!r} is not there", f"this machine has: {found}; --device auto picks one"
        )
    return device
