"""The whole of a spread model on device meta, where it takes no memory and nothing spreads it."""

from __future__ import annotations

import copy
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from gptrace.model.architecture import Architecture
from gptrace.model.distributed_wrappers import in_wrapper, own_class, wrapped_model
from gptrace.model.meta_device import meta_parameters
from gptrace.model.quiet_torch import torch
from gptrace.tracing.parameters import ParameterRef, named_modules_with_aliases, parameter_refs
from gptrace.tracing.spread.layout import loaded

Module = torch.nn.Module
Tensor = torch.Tensor
# Where a module keeps its hooks. Those that spread a model move its tensors between processes.
_HOOKS = tuple(name for name, value in vars(Module()).items() if isinstance(value, OrderedDict))
# Of the attributes of a spread module: code in the place of its call or of its forward pass, and the state of
# torch's functions that spread modules.
_OF_SPREADING = re.compile("forward|_compiled_call_impl|__composable_api.*")


class Twin(NamedTuple):
    """A module like a spread one that nothing has spread, on device meta.

    `is_of_spread` tells that it is a copy of the spread module, with attributes that its plan may have set.
    """

    module: Module
    is_of_spread: bool


def whole_twin(
    module: Module,
    parameters: Sequence[ParameterRef],
    architecture: Architecture | None,
    whole: Module | None,
) -> Twin | None:
    """Return the twin of a spread module; None where none can be made.

    It is built by the architecture, or it is `whole`, a copy on device meta from before the module was
    spread, if that gives the same modules and `parameters`, which are those of the whole model; or it is a
    copy.
    """
    makers: list[Callable[[], Module]] = []
    if architecture is not None:
        makers.append(lambda: _built(architecture))
    if whole is not None:
        makers.append(lambda: whole)
    makers.append(lambda: _copied(module))
    for make in makers:
        with suppress(Exception):  # the user's code, and objects that refuse to be copied
            twin = make()
            if _is_like(twin, module, parameters):
                return Twin(twin, is_of_spread=make is makers[-1])
    return None


def _built(architecture: Architecture) -> Module:
    with meta_parameters():
        return architecture.build({})


def _is_like(twin: Module, module: Module, parameters: Sequence[ParameterRef]) -> bool:
    """Give a twin the dtypes and flags of a module; tell whether it has the same modules and parameters."""
    twins = list(named_modules_with_aliases(twin))
    modules = list(named_modules_with_aliases(module))
    if [path for path, _ in twins] != [path for path, _ in modules]:
        return False
    refs = parameter_refs(twins)
    if [(ref.names, ref.elements) for ref in refs] != [(ref.names, ref.elements) for ref in parameters]:
        return False
    for ref, other in zip(refs, parameters, strict=True):
        ref.parameter.data = ref.parameter.data.to(other.parameter.dtype)
        ref.parameter.requires_grad_(other.parameter.requires_grad)
    for (_, ours), (_, theirs) in zip(twins, modules, strict=True):
        ours.training = theirs.training
    return True


def _copied(module: Module) -> Module:
    """Return a copy on device meta, with whole parameters, of the user's own classes, and without hooks."""
    inside = wrapped_model(module)
    if inside is not None:
        return in_wrapper(module, _copied(inside))
    # deepcopy takes what its memo has for an object, by its id.
    memo: dict[int, Any] = {}
    modules = list(module.modules())
    for each in modules:
        kind: Any = own_class(type(each))
        memo[id(each)] = kind.__new__(kind)
        memo |= {id(hooks): type(hooks)() for name in _HOOKS if (hooks := vars(each).get(name)) is not None}
        for value in (*each._parameters.values(), *each._buffers.values(), *vars(each).values()):
            if isinstance(value, Tensor):
                memo[id(value)] = _whole_on_meta(value)
            elif isinstance(value, loaded("torch.distributed.device_mesh", "DeviceMesh") or ()):
                memo[id(value)] = value
    for each in modules:
        attributes = {name: value for name, value in vars(each).items() if not _OF_SPREADING.fullmatch(name)}
        vars(memo[id(each)]).update(copy.deepcopy(attributes, memo))
    twin: Module = memo[id(module)]
    return twin


def _whole_on_meta(tensor: Tensor) -> Tensor:
    whole = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
    is_parameter = isinstance(tensor, torch.nn.Parameter)
    return torch.nn.Parameter(whole, tensor.requires_grad) if is_parameter else whole
