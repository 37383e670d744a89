"""A model that is checked at once, and loaded at its first use. Nothing here imports torch before that."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeGuard
from weakref import WeakSet

from gptrace.errors import InputError
from gptrace.model.forked_children import can_take, in_forked_child
from gptrace.model.selection import (
    AUTO,
    DEFAULT_SEED,
    GPTSelection,
    HuggingFaceSelection,
    Limits,
    ModelSelection,
    select_model,
)
from gptrace.model.weights.packaged import PACKAGE
from gptrace.text.gpt2_tokenizer import GPT2
from gptrace.text.hugging_face import as_tokenizer
from gptrace.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from gptrace.model.build import LoadedModel, Module

Model = str | Callable[..., Any] | ModelSelection | None
_every: WeakSet[ModelOnDemand] = WeakSet()


class ModelOnDemand:
    """A model with its tokenizer and its limits. It is loaded once, at its first use, also among threads."""

    def __init__(
        self,
        model: Model = None,
        *,
        weights: str | Path | None = None,
        tokenizer: object = None,
        name: str | None = None,
        config: Any = None,
        seed: int = DEFAULT_SEED,
        device: str = "cpu",
        dtype: str | None = None,
        threads: int | None = None,
    ) -> None:
        """Check everything that can be checked without torch; raise an InputError for what is wrong.

        model      a preset ("gpt2-small" is the default), "FILE.py:OBJECT", "package.module:OBJECT" or
                   "hf:FOLDER"; or a torch.nn.Module, which is left as it is, its class, or a function that
                   returns one. It is called with token ids `[batch, seq_len]`
        weights    "random", "pretrained" (downloaded at once, unless they are in the cache), or the path of a
                   weight file or folder (default: random; for "small" and "hf:…" their own)
        tokenizer  a tokenizer of transformers, or any object with the methods of
                   gptrace.text.tokenizer.Tokenizer (default: GPT-2's; for "hf:…" its own)
        name       the name of the model in reports (default: that of the preset, object, folder or class)
        config     configuration keys that replace the preset's, or a whole GPTConfig; for a class or function
                   of your own, whatever it takes
        seed       seed of the random weights, and of sampling (default: 123)
        device     "cpu" (default), "cuda", "cuda:N", "xpu", "mps" or another that torch has here; "meta", for
                   shapes alone; or "auto", the accelerator of this machine if there is one
        dtype      "float32", "float64", "bfloat16" or "float16", or "auto" for float32 or bfloat16, whichever
                   20 ms of matrix products say is faster (default: float32; a model of your own stays as it
                   is made)
        threads    processor threads of torch, set when the model is loaded (default: torch's own choice)
        """
        options = {"weights": weights, "config": config, "dtype": dtype, "threads": threads}
        self._module = model if is_module(model) else None
        self._selection: ModelSelection | None = model if isinstance(model, ModelSelection) else None
        if self._module is not None or self._selection is not None:
            _check_no_options(options, seed, device)
        elif model is None or isinstance(model, str) or callable(model):
            self._selection = select_model(model, seed=seed, device=device, **options)
        else:
            raise InputError(
                f"model is of type {type(model).__name__}, neither a name nor a model",
                "give a preset's name, FILE.py:OBJECT, hf:FOLDER, a torch.nn.Module, its class, or a factory",
            )
        self.seed = seed if self._selection is None else self._selection.seed
        self._name = name
        self._given_tokenizer = None if tokenizer is None else as_tokenizer(tokenizer)
        self._tokenizer = self._given_tokenizer
        self._known_limits = None if self._selection is None else self._selection.limits()
        self._loaded: LoadedModel | None = None
        self._lock = Lock()
        _every.add(self)

    def __repr__(self) -> str:
        state = "loaded" if self.is_loaded else "not loaded"
        kind = type(self).__name__
        return f"<{kind} {self.name}, {_weights(self._selection)}, on {self._device()}, {state}>"

    @property
    def name(self) -> str:
        """The name of the model in reports."""
        if self._name is not None:
            return self._name
        return type(self._module).__name__ if self._selection is None else self._selection.name

    @property
    def is_loaded(self) -> bool:
        """Whether the model has been loaded."""
        return self._loaded is not None

    @property
    def model(self) -> Module:
        """The torch.nn.Module; it is loaded if it was not before."""
        return self._load().module

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that reads text for the model."""
        if self._tokenizer is None:
            self._tokenizer = GPT2 if self._selection is None else self._selection.tokenizer()
        return self._tokenizer

    def _own_tokenizer(self) -> Tokenizer | None:
        """Return the tokenizer that belongs to the model; None for one that only reads the text."""
        return self.tokenizer if isinstance(self._selection, HuggingFaceSelection) else self._given_tokenizer

    @property
    def limits(self) -> Limits:
        """The ids and the number of tokens that the model takes; it is loaded where only that tells."""
        return self._known_limits or self._load().limits

    def settled_dtype(self) -> str | None:
        """Return the dtype that is asked for; of `auto`, the one that is picked here and now."""
        if self._selection is None or self._selection.dtype != AUTO:
            return None if self._selection is None else self._selection.dtype
        from gptrace.model.devices import find_device
        from gptrace.model.dtype_choice import settled

        return settled(self._selection, find_device(self._selection.device))[0].dtype

    def check_has_numbers(self, purpose: str) -> None:
        """Raise an InputError for a model on device meta, which has shapes alone."""
        if self._device() == "meta":
            hint = "use gptrace run --device meta"
            raise InputError(f"device meta has shapes, but no numbers to {purpose} with", hint)

    def _load(self) -> LoadedModel:
        with self._lock:
            if self._loaded is None:
                from gptrace.model.build import load

                loaded = load(self._source())
                self._loaded = loaded if self._name is None else replace(loaded, name=self._name)
            return self._loaded

    def _source(self) -> ModelSelection | Module:
        """Return what the model is loaded from: its selection, or the module that was given."""
        source = self._module if self._selection is None else self._selection
        assert source is not None
        return source

    def _device(self) -> str:
        if self._loaded is not None:
            return str(self._loaded.device)
        if self._selection is not None:
            return self._selection.device
        assert self._module is not None
        from gptrace.model.offloading import computing_device  # who made the module has imported torch

        return str(computing_device(self._module))


@in_forked_child
def _renew_locks() -> None:
    for model in list(_every):
        if not can_take(model._lock):
            model._lock = Lock()


def is_module(model: object) -> TypeGuard[Module]:
    """Tell whether a value is a torch.nn.Module, without importing torch: who made it has done so."""
    module_class = getattr(getattr(sys.modules.get("torch"), "nn", None), "Module", None)
    return isinstance(module_class, type) and isinstance(model, module_class)


def _check_no_options(options: Mapping[str, object], seed: object, device: object) -> None:
    """Raise an InputError for options that build a model, where it is built already."""
    names = [name for name, value in options.items() if value is not None]
    names += ["seed"] * (seed != DEFAULT_SEED) + ["device"] * (device != "cpu")
    if names:
        problem = f"{', '.join(names)} cannot be set for a model that is built already"
        raise InputError(problem, "drop them, or give its class, or the name of a preset")


def _weights(selection: ModelSelection | None) -> str:
    """Say which weights a model has, or is going to have."""
    if selection is None:
        return "its own weights"
    if selection.device == "meta":
        return "no weights"
    if selection.weights is not None:
        origin = selection.origin if isinstance(selection, GPTSelection) else {}
        if origin:
            return "trained weights" if origin["source"] == PACKAGE else "pretrained weights"
        return f"weights from {selection.weights}"
    is_random = isinstance(selection, GPTSelection) or getattr(selection, "random", False)
    return f"random weights (seed {selection.seed})" if is_random else "its own weights"
