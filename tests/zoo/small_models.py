"""Small models of transformers with random weights, made from nothing but their configuration classes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import transformers
from transformers.models.auto import configuration_auto, modeling_auto

from gptrace.model.quiet_torch import torch
from tests.zoo.settings import OF_ARCHITECTURE, SMALL

SEED = 5
# The standard deviation of matrices whose own is smaller: with the usual 0.02, logits hardly depend on ids.
_LEAST_DEVIATION = 0.1


def architectures() -> list[str]:
    """Return the model types of all causal language models of transformers, in its own order."""
    return list(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def small_config(model_type: str) -> Any:
    """Return a small configuration of a model type."""
    config_class = configuration_auto.CONFIG_MAPPING[model_type]
    return _shrunk(config_class, OF_ARCHITECTURE.get(model_type, {}))


def small_model(model_type: str) -> Any:
    """Build a small model of a model type; its weights are the same each time."""
    config = small_config(model_type)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
        model = model.to(torch.float32).train(False)
        with torch.no_grad():
            for parameter in model.parameters():
                _disturb(parameter)
    return model


def _disturb(parameter: Any) -> None:
    """Make weights large enough for logits that depend on the ids, and no norm or bias ones or zeros."""
    if parameter.dim() > 1:
        deviation = float(parameter.std()) if parameter.numel() > 1 else 0.0
        if 0 < deviation < _LEAST_DEVIATION:
            parameter *= _LEAST_DEVIATION / deviation
    elif parameter.dim() == 1:
        parameter += 0.05 * torch.randn_like(parameter)


def _shrunk(config_class: Any, own: Mapping[str, Any]) -> Any:
    """Return a configuration with small sizes; `own` replaces them, also in configurations inside."""
    settings = _known_settings(config_class)
    changes = {key: value for key, value in SMALL.items() if key in settings}
    for key, inner in _inner_classes(config_class, own).items():
        changes[key] = _shrunk(inner, own.get(key, {}))
    return config_class(
        **changes | {key: value for key, value in own.items() if key not in changes or key in SMALL}
    )


def _inner_classes(config_class: Any, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the classes of the configurations inside one, by their names."""
    try:
        default = config_class()
    except Exception:
        default = config_class(**own)
    values = {key: value for key, value in vars(default).items() if key[0] != "_"}
    return {key: type(v) for key, v in values.items() if isinstance(v, transformers.PreTrainedConfig)}


def _known_settings(config_class: Any) -> set[str]:
    names = {name for base in config_class.__mro__ for name in getattr(base, "__annotations__", {})}
    names |= set(inspect.signature(config_class.__init__).parameters)
    return names | set(getattr(config_class, "attribute_map", {}))
