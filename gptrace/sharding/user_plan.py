"""A plan of the user's: a function (model, mesh) → model."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from contextlib import chdir
from typing import Any

from gptrace.errors import ConfigError
from gptrace.model.devices import accelerators_in_use
from gptrace.model.module_tree import check_submodules
from gptrace.model.quiet_torch import torch
from gptrace.model.random_state import exclusive_random_state
from gptrace.model.reference import ObjectReference
from gptrace.model.user_code_errors import user_code_errors
from gptrace.model.user_model import resolved_object
from gptrace.sharding.torch_distributed import DeviceMesh

Module = torch.nn.Module
_FORM = "a plan is a function (model, mesh) that returns the model"


def shard_with_plan(
    model: Module, mesh: DeviceMesh, plan: ObjectReference | Callable[[Any, Any], Any], name: str
) -> Module:
    """Return the module that the user's function makes of a model and a mesh.

    The random number generators are afterwards as they were. Raises a ConfigError for an object that is no
    such function, a ModelCodeError where its code raises.
    """
    # User code may draw random numbers, and leave the working directory.
    with exclusive_random_state(accelerators_in_use()), chdir(os.getcwd()):
        function = resolved_object(plan)
        if not callable(function):
            raise ConfigError(f"{name} is of type {type(function).__name__}, not a function", _FORM)
        _check_arguments(function, name)
        with user_code_errors(f" (in the plan {name})"):
            sharded = function(model, mesh)
    if inspect.iscoroutine(sharded):  # of an async function, which is none
        sharded.close()  # else Python warns that it was never awaited
    if not isinstance(sharded, Module):
        problem = f"the plan {name} returned a value of type {type(sharded).__name__}, not a torch.nn.Module"
        raise ConfigError(problem, _FORM)
    check_submodules(sharded)
    return sharded


def _check_arguments(function: Callable[..., object], name: str) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of C code
        return
    try:
        signature.bind("model", "mesh")
    except TypeError:
        problem = f"the plan {name}{signature} cannot be called with a model and a mesh"
        raise ConfigError(problem, _FORM) from None
