"""Right models as files, and how to build a model of a file at a size that suits a test."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import itertools
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from gptrace.model.quiet_torch import torch

RIGHT = Path(__file__).parent / "right"
_numbers = itertools.count()


@dataclasses.dataclass(frozen=True)
class RightModel:
    """A model in tests/models/right/ that every check holds for.

    name         the name of the file, without .py
    target       the class or function in the file that builds it
    config       the name of the configuration in the file; "" where it is built without arguments
    vocabulary   the setting that is the size of its vocabulary
    context      the setting that is its context length; "" where it has none
    layers       the setting that is the number of its blocks; "" where it has none
    labels       what forward takes to return a loss: "" (nothing), "shifted" (targets=, targets[t] is the
                 token after ids[t]) or "same" (labels=, the ids themselves; forward shifts)
    cache        how it caches: "" (not at all), or a key of `experiments.CACHES`
    mask         whether forward takes attention_mask, [batch, seq_len] with 0 for padding on the left
    looks_wrong  why a hasty check may take it for wrong; "" for most
    """

    name: str
    target: str
    config: str = ""
    vocabulary: str = "vocab_size"
    context: str = "context_length"
    layers: str = "n_layers"
    labels: str = ""
    cache: str = ""
    mask: bool = False
    looks_wrong: str = ""

    @property
    def path(self) -> Path:
        return RIGHT / f"{self.name}.py"

    @property
    def source(self) -> str:
        return self.path.read_text(encoding="utf-8")


@functools.lru_cache(maxsize=64)
def imported(path: Path) -> ModuleType:
    """Import a file under a name of its own, so that two files of one name are two modules."""
    spec = importlib.util.spec_from_file_location(f"collected_{path.stem}_{next(_numbers)}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up while they are defined
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    return module


def build(model: RightModel, path: Path | None = None, **changes: Any) -> Any:
    """Build the model of a file, right or broken, in evaluation mode; `changes` replace settings.

    The generators are seeded, so a broken model has the weights of its base, as far as it makes the same.
    """
    module = imported(path or model.path)
    target = getattr(module, model.target)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        config = getattr(module, model.config) if model.config else None
        if isinstance(config, Mapping):
            return target({**config, **changes}).eval()
        if config is not None:
            return target(config(**changes)).eval()
        return target(**changes).eval()


def small(model: RightModel, path: Path | None = None, **changes: Any) -> Any:
    """Build the model with a vocabulary of 61 tokens, for experiments that do without a tokenizer."""
    return build(model, path, **{model.vocabulary: 61, **changes})
