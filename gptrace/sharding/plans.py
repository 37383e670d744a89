"""The plan that shards a model: the user's, gptrace's own, or that of a model of transformers."""

from __future__ import annotations

from gptrace.errors import ConfigError
from gptrace.model.distributed_wrappers import class_name
from gptrace.model.hugging_face import is_hugging_face
from gptrace.model.quiet_torch import torch
from gptrace.sharding.gpt_plan import fits_gpt_plan, shard_gpt
from gptrace.sharding.mesh_shape import MeshShape
from gptrace.sharding.request import SpreadRequest
from gptrace.sharding.torch_distributed import DeviceMesh, init_device_mesh
from gptrace.sharding.transformers_plan import WRITE_ONE, shard_with_transformers
from gptrace.sharding.user_plan import shard_with_plan

Module = torch.nn.Module
# The dimensions that the plans of gptrace and transformers know, the outermost first.
KNOWN_DIMS = ("dp", "fsdp", "tp")


def shard(module: Module, request: SpreadRequest, device_type: str) -> tuple[Module, str]:
    """Shard a module in place; return it, and the name of the plan.

    Raises a ConfigError for a model without a plan, or a mesh that the plan does not know.
    """
    if request.plan is not None:
        mesh = _device_mesh(request.shape, device_type)
        return shard_with_plan(module, mesh, request.plan, request.plan_name), request.plan_name
    if fits_gpt_plan(module):
        _check_known(request.shape)
        shard_gpt(module, _device_mesh(request.shape, device_type))
        return module, "built in"
    if is_hugging_face(module):
        _check_known(request.shape)
        return shard_with_transformers(module, _device_mesh(request.shape, device_type)), "transformers"
    problem = f"gptrace knows no plan that shards {class_name(module)}"
    raise ConfigError(problem, WRITE_ONE, option="parallel")


def _device_mesh(shape: MeshShape, device_type: str) -> DeviceMesh:
    return init_device_mesh(device_type, tuple(shape.dims.values()), mesh_dim_names=tuple(shape.dims))


def _check_known(shape: MeshShape) -> None:
    """Raise a ConfigError for a dimension that the plans do not know, or for another order of them."""
    unknown = [name for name in shape.dims if name not in KNOWN_DIMS]
    if unknown:
        problem = f"no plan shards along the mesh dimension {unknown[0]!r}"
        hint = f"use {', '.join(KNOWN_DIMS)}, or write a plan: --parallel plan.py:parallelize"
        raise ConfigError(problem, hint, option="mesh")
    ordered = MeshShape({name: shape.dims[name] for name in KNOWN_DIMS if name in shape.dims})
    if tuple(ordered.dims) != tuple(shape.dims):
        problem = f"the dimensions of the mesh {shape} are in another order than {', '.join(KNOWN_DIMS)}"
        raise ConfigError(problem, f"write --mesh {ordered}", option="mesh")
