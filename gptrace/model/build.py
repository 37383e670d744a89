"""A ModelChoice → a GPTModel with its weights, on its device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gptrace.errors import DeviceError
from gptrace.model.choice import ModelChoice
from gptrace.model.config import GPTConfig
from gptrace.model.gpt import GPTModel
from gptrace.model.hollow import hollow_model
from gptrace.model.memory import as_memory_error, check_memory, readable_bytes
from gptrace.model.quiet_torch import torch
from gptrace.model.weights.load import load_weights


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to run, with the name and the origin of its weights for the reports."""

    module: GPTModel
    name: str
    weights: dict[str, Any]
    padding_rows: int = 0

    @property
    def predicted(self) -> int:
        """How many ids can be predicted: rows that only pad the vocabulary cannot."""
        return self.config.vocab_size - self.padding_rows

    @property
    def config(self) -> GPTConfig:
        """The sizes of the model."""
        return self.module.config


def load(model: ModelChoice | GPTModel) -> LoadedModel:
    """Build what was chosen; a model that is there already is taken as it is."""
    if not isinstance(model, ModelChoice):
        return LoadedModel(model, type(model).__name__, {"source": "given"})
    device = find_device(model.device)
    if model.config is None:
        module, weights = load_weights(model, device)
    elif device.type == "meta":
        module, weights = hollow_model(model.config), {"source": "none"}
    else:
        module, weights = _random(model, model.config, device), {"source": "random", "seed": model.seed}
    module = module.to(getattr(torch, model.dtype)).eval()
    return LoadedModel(module, model.name, weights, weights.get("padding_rows", 0))


def _random(choice: ModelChoice, config: GPTConfig, device: torch.device) -> GPTModel:
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
