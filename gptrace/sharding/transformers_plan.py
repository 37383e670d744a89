"""The plans of the models of transformers: `tp_plan` and `fsdp_plan`, applied by transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gptrace.errors import ConfigError
from gptrace.model.hugging_face import hugging_face_architecture
from gptrace.model.quiet_torch import torch
from gptrace.sharding.divisible import check_divides
from gptrace.sharding.torch_distributed import DeviceMesh
from gptrace.wording import one_line

Module = torch.nn.Module
WRITE_ONE = "write a plan: --parallel plan.py:parallelize, a function (model, mesh) that returns the model"
# What transformers calls our dimensions.
_NAMES = {"dp_replicate": "dp", "fsdp": "fsdp", "tp": "tp"}


def shard_with_transformers(module: Module, mesh: DeviceMesh) -> Module:
    """Shard a model of transformers in place, along the dimensions of the mesh, and return it.

    `dp` alone needs nothing: the ranks hold the same. Raises a ConfigError for a model without a plan, or
    with sizes that cannot be split, and where transformers is older than these functions.
    """
    sizes = dict(zip(mesh.mesh_dim_names or (), mesh.shape, strict=True))
    if not sizes.keys() & {"tp", "fsdp"}:
        return module
    check_divides(_heads(module), "tp", sizes.get("tp", 1))
    model: Any = module
    try:
        from transformers.distributed import DistributedConfig

        distribute = type(model).maybe_distribute_model
    except (ImportError, AttributeError):
        problem = "this version of transformers cannot shard a model that is already built"
        hint = "pip install -U transformers, or give a plan of your own with --parallel plan.py:parallelize"
        raise ConfigError(problem, hint) from None
    tp, fsdp = sizes.get("tp", 1), sizes.get("fsdp", 1)
    replicas = sizes.get("dp", 1) if fsdp > 1 else 1
    config = DistributedConfig(tp_size=tp, fsdp_size=fsdp, dp_replicate_size=replicas)
    _untie(module)
    try:
        model = distribute(model, config, _Meshes(mesh))
    except ValueError as error:  # the model has no plan
        problem = f"transformers cannot shard {type(module).__name__}: {one_line(error)}"
        raise ConfigError(problem, WRITE_ONE, option="parallel") from None
    model.tie_weights()
    sharded: Module = model
    return sharded


def _heads(module: Module) -> dict[str, int]:
    """Return the numbers of heads, by the names that the configuration gives them."""
    architecture = hugging_face_architecture(module)
    if architecture is None:
        return {}
    keys = [architecture.key(role) for role in ("heads", "key_value_heads")]
    return {key: architecture.settings[key] for key in keys if key is not None}


def _untie(module: Module) -> None:
    """Give each place of a tied parameter its own parameter on the same data, as transformers expects."""
    known = set()
    for submodule in module.modules():
        for name, parameter in submodule.named_parameters(recurse=False):
            if parameter in known:
                own = torch.nn.Parameter(parameter.data, parameter.requires_grad)
                submodule.register_parameter(name, own)
            known.add(parameter)


class _Meshes:
    """The mesh, with the method by which transformers asks for a submesh."""

    def __init__(self, mesh: DeviceMesh) -> None:
        self._mesh = mesh

    def get_mesh(self, dims: str | Sequence[str]) -> DeviceMesh:
        """Return the submesh with those of these dimensions that the mesh has."""
        names = (dims,) if isinstance(dims, str) else dims
        known = self._mesh.mesh_dim_names or ()
        ours = tuple(_NAMES[name] for name in names if _NAMES.get(name) in known)
        return self._mesh[ours]
