"""Facts about a model as a whole, and about the versions that ran it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from gptrace.model.build import LoadedModel
from gptrace.model.distributed_wrappers import class_name
from gptrace.model.dtypes import dtype_name
from gptrace.model.gpt import GPTModel
from gptrace.model.hugging_face import is_hugging_face, plain_settings
from gptrace.model.offloading import computing_device
from gptrace.model.quiet_torch import torch
from gptrace.record import Buffers, DeviceShare, ModelInfo
from gptrace.tracing.parameters import Counts, count_by_device, counts_of, named_modules_with_aliases
from gptrace.versions import versions_with

Module = torch.nn.Module


def versions() -> dict[str, str]:
    """Return the versions of gptrace, torch and Python."""
    return versions_with(torch=str(torch.__version__))


def model_info(loaded: LoadedModel, weights: dict[str, Any] | None = None) -> ModelInfo:
    """Describe a model: class, parameters, dtype and device; `weights` are facts that replace its own."""
    modules = named_modules_with_aliases(loaded.module)
    info = model_info_from(loaded.module, modules, counts_of(modules))
    return replace(info, name=loaded.name, weights=weights or loaded.weights, dtype_rates=loaded.dtype_rates)


def model_info_from(
    module: Module, modules: Sequence[tuple[str, Module]], counts: Counts, dtype: torch.dtype | None = None
) -> ModelInfo:
    """Describe a module as `model_info` does, from its modules by path and what they hold.

    `dtype` is that of the first parameter, if the module does not hold it as it is kept.
    """
    parameters = [each for _, part in modules for each in part._parameters.values() if each is not None]
    parameter = parameters[0] if parameters else None
    return ModelInfo(
        name=class_name(module),
        class_name=class_name(module),
        parameters=counts.totals,
        buffers=Buffers(counts.buffer_bytes),
        dtype=dtype_name(dtype or parameter.dtype) if parameter is not None else "none",
        device=str(computing_device(module)) if parameters else "none",
        parameters_by_device=_by_device(modules, parameters),
        config=_configuration(module),
    )


def _by_device(
    modules: Sequence[tuple[str, Module]], parameters: Sequence[torch.Tensor]
) -> dict[str, DeviceShare] | None:
    """Return the parameters on each device; None where all are on the device that the model runs on."""
    if len({parameter.device for parameter in parameters}) < 2 and not any(p.is_meta for p in parameters[:1]):
        return None
    by_device = count_by_device(modules)
    return None if list(by_device) == [str(computing_device(modules[0][1]))] else by_device


def _configuration(module: Module) -> dict[str, Any] | None:
    """Return the configuration of a GPTModel or of a transformers model, as far as JSON can hold it."""
    if isinstance(module, GPTModel):
        return module.config.to_dict()
    return plain_settings(module) if is_hugging_face(module) else None
