"""Causal language models of transformers: loaded from a folder, or made at random from its config.json."""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gptrace.errors import ConfigError, GptraceError, WeightsError
from gptrace.model.architecture import Architecture
from gptrace.model.memory import check_memory
from gptrace.model.meta_device import meta_parameters
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import DTYPES, HuggingFaceSelection
from gptrace.text.hugging_face import transformers_library
from gptrace.wording import enumerated, quoted_value, suggestion

Module = torch.nn.Module


def build_hugging_face(choice: HuggingFaceSelection, device: torch.device) -> tuple[Module, dict[str, Any]]:
    """Return the model of a folder and what a report says of its weights, in the dtype that was chosen.

    Code that comes with a model is never run. Raises ConfigError for a folder that holds no causal language
    model, WeightsError for weights that do not fit it.
    """
    transformers = transformers_library()
    with _quiet(transformers), _explained(f"--model hf:{choice.folder}", ConfigError):
        config = _configuration(transformers, choice)
        with meta_parameters(), torch.random.fork_rng(devices=[]):
            dtype = choice.dtype or "float32"
            # Not in the dtype that config.json names: tensors of another file would be rounded to it.
            made_in = {"dtype": getattr(torch, dtype), "trust_remote_code": False}
            shapes = transformers.AutoModelForCausalLM.from_config(config, **made_in)
    if device.type == "meta":
        return shapes, {"source": "none"}
    count = sum(parameter.numel() for parameter in shapes.parameters())
    check_memory(count * DTYPES[dtype], f"{choice.name} with {count:,} parameters")
    del shapes
    if choice.random:
        with _quiet(transformers), torch.random.fork_rng(devices=[]), _explained(choice.name, ConfigError):
            torch.default_generator.manual_seed(choice.seed)
            module = transformers.AutoModelForCausalLM.from_config(config, **made_in)
        return module, {"source": "random", "seed": choice.seed}
    with _quiet(transformers), _explained(f"the weights in {choice.folder}", WeightsError):
        module, report = transformers.AutoModelForCausalLM.from_pretrained(
            str(choice.folder), config=config, dtype=getattr(torch, dtype), local_files_only=True,
            trust_remote_code=False, output_loading_info=True,
        )  # fmt: skip
    missing = sorted(report.get("missing_keys", ()))
    if missing:
        raise WeightsError(
            f"the weights in {choice.folder} lack {enumerated(missing, 3)}",
            "they would be random numbers; is a shard missing, or is it another kind of model?",
        )
    return module, choice.origin


def architecture(module: Module) -> Architecture | None:
    """Return how a model of transformers is built at other sizes, or None for any other module."""
    if not is_hugging_face(module):
        return None
    transformers: Any = sys.modules["transformers"]
    kind: Any = type(module)
    config: Any = module.config

    def build(changes: Mapping[str, int]) -> Module:
        changed = copy.deepcopy(config)
        for key, value in changes.items():
            setattr(changed, key, value)
        with _quiet(transformers):
            made = kind(changed)
        assert isinstance(made, Module)
        return made

    return Architecture(config.to_dict(), build)


def forward_arguments(module: Module) -> dict[str, Any]:
    """Return what the forward of a model of transformers gets beside the ids, and nothing for others.

    One pass needs no cache of keys and values, which would only take memory. On device meta it costs nothing,
    and without it transformers looks into positions, which are no numbers there.
    """
    if not is_hugging_face(module):
        return {}
    return {"use_cache": any(parameter.is_meta for parameter in module.parameters())}


def is_hugging_face(module: Module) -> bool:
    """Tell whether a module is a model of transformers, without importing it."""
    # Whoever holds such a model has imported it; somebody's own file may have that name too.
    kind = getattr(sys.modules.get("transformers"), "PreTrainedModel", None)
    return isinstance(kind, type) and isinstance(module, kind)


def _configuration(transformers: Any, choice: HuggingFaceSelection) -> Any:
    config = transformers.AutoConfig.from_pretrained(
        str(choice.folder), local_files_only=True, trust_remote_code=False
    )
    known = config.to_dict()
    for key, value in choice.keys.items():
        if key not in known:
            raise ConfigError(
                f"{choice.name} has no setting {quoted_value(key)}",
                suggestion(key, [k for k in known if k[0] != "_"]),
            )
        setattr(config, key, value)
    return config


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keep its progress bars, its advice and its warnings to itself: what counts comes as an exception."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def _explained(what: str, kind: type[GptraceError]) -> Iterator[None]:
    try:
        yield
    except (GptraceError, MemoryError):
        raise
    except Exception as error:  # of several libraries, for many reasons; the reason is what counts
        reason = " ".join(str(error).split())
        if "trust_remote_code" in reason:
            raise kind(
                f"{what}: the model brings code of its own, which gptrace never runs",
                "use a model that transformers knows by itself",
            ) from None
        hint = "is it a causal language model, and does this version of transformers know it?"
        raise kind(f"{what}: {type(error).__name__}: {reason[:300]}", hint) from None
