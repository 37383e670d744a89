"""Where the parts of a DTensor are: the mesh dimensions that split each axis, as torch knows them."""

from __future__ import annotations

from typing import Any, NamedTuple

from gptrace.model.quiet_torch import torch

SplitBy = tuple[tuple[str, ...], ...]


class Placed(NamedTuple):
    """The shape of this process's part of a tensor, and how it was cut out of the whole.

    `split_by` has the mesh dimensions that split each axis, the outermost first; `placements` has the
    placement along each mesh dimension as torch writes it, such as ("tp", "Shard(dim=2)").
    """

    local_shape: tuple[int, ...]
    split_by: SplitBy
    placements: tuple[tuple[str, str], ...]


def placed(tensor: Any) -> Placed | None:
    """Return how a DTensor is placed; None for any other tensor."""
    local = getattr(tensor, "_local_tensor", None)
    if not isinstance(local, torch.Tensor):
        return None
    pairs = list(zip(mesh_dim_names(tensor.device_mesh), tensor.placements, strict=True))
    split_by = tuple(
        tuple(name for name, placement in pairs if getattr(placement, "dim", None) == axis)
        for axis in range(tensor.dim())
    )
    return Placed(tuple(local.shape), split_by, tuple((name, repr(placement)) for name, placement in pairs))


def mesh_dim_names(mesh: Any) -> tuple[str, ...]:
    """Return the names of the dimensions of a DeviceMesh; "dim_0", "dim_1" where it has none, as in torch."""
    return mesh.mesh_dim_names or tuple(f"dim_{number}" for number in range(mesh.ndim))
