"""Facts about a model as a whole, and about the versions that ran it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from gptrace.model.dtypes import dtype_name
from gptrace.model.gpt import GPTModel
from gptrace.model.hugging_face import is_hugging_face
from gptrace.model.quiet_torch import torch
from gptrace.record import Buffers, ModelInfo
from gptrace.tracing.parameters import (
    ParameterRef,
    buffer_bytes,
    count_all,
    named_modules_with_aliases,
    parameter_refs,
)
from gptrace.versions import versions_with

Module = torch.nn.Module


def versions() -> dict[str, str]:
    """Return the versions of gptrace, torch and Python."""
    return versions_with(torch=str(torch.__version__))


def model_info(module: Module, name: str | None = None, weights: dict[str, Any] | None = None) -> ModelInfo:
    """Describe a module: class, parameters, dtype and device."""
    modules = list(named_modules_with_aliases(module))
    info = model_info_from(module, modules, parameter_refs(modules))
    return replace(info, name=name or info.name, weights=weights)


def model_info_from(
    module: Module, modules: Sequence[tuple[str, Module]], parameters: Sequence[ParameterRef]
) -> ModelInfo:
    """Describe a module as `model_info` does, from its modules by path and their parameters."""
    first = parameters[0].parameter if parameters else None
    return ModelInfo(
        name=type(module).__name__,
        class_name=type(module).__name__,
        parameters=count_all(parameters),
        buffers=Buffers(buffer_bytes(modules)),
        dtype=dtype_name(first.dtype) if first is not None else "none",
        device=str(first.device) if first is not None else "none",
        config=_configuration(module),
    )


def _configuration(module: Module) -> dict[str, Any] | None:
    """Return the configuration of a GPTModel or of a transformers model, as far as JSON can hold it."""
    if isinstance(module, GPTModel):
        return module.config.to_dict()
    if is_hugging_face(module):
        config: Any = module.config
        settings: dict[str, Any] = config.to_dict()
        return {key: value for key, value in settings.items() if isinstance(value, int | float | str)}
    return None
