"""How a model is spread over processes: its mesh, and the part of each parameter that this process holds."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

from gptrace.model.quiet_torch import torch
from gptrace.record import Mesh
from gptrace.tracing.spread.placements import mesh_dim_names

Module = torch.nn.Module
Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Layout:
    """How a model is spread.

    mesh           the dimensions of the mesh by name, and the place of this process in it
    groups         the mesh dimension of each process group, by the group's name
    work_dims      the mesh dimensions along which processes may share the work on one input, as under tensor
                   parallelism; under data parallelism alone, each does all the work on an input of its own
    is_fake        whether the tensors of the model are fake: torch computes only shapes
    gathers        whether parameters are gathered while a module runs, as FSDP does
    """

    mesh: Mesh
    groups: dict[str, str]
    work_dims: tuple[str, ...]
    is_fake: bool
    gathers: bool


def layout_of(module: Module) -> Layout | None:
    """Return how torch has spread a module over processes; None for a module that it has not spread.

    Its parameters may be DTensors, as under tensor parallelism; it may be under FSDP2's `fully_shard`, or in
    a DistributedDataParallel; or several of these. A mesh without names has dimensions called "fsdp" and "dp"
    where FSDP shards and replicates parameters, and otherwise "dim_0", "dim_1", as torch calls them.
    """
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return None
    modules = list(module.modules())
    meshes, data_groups, gathers = _Meshes(), set[str](), False
    for info in (group.mesh_info for each in modules for group in _fsdp_groups(each)):
        meshes.add(info.mesh, _names_by_fsdp(info))
        data_groups.update(_group_names(info.mesh))
        gathers |= info.shard_mesh_dim is not None
    parts = parts_here(modules)
    work_groups = dict[str, None]()  # in order
    for mesh in {id(part.mesh): part.mesh for part in parts.values()}.values():
        meshes.add(mesh)
        work_groups |= dict.fromkeys(name for name in _group_names(mesh) if name not in data_groups)
    for group in (each.process_group for each in modules if isinstance(each, _DISTRIBUTED)):
        meshes.add_group(group)
    if not meshes.dims:
        return None
    backend = _backend(module)
    mesh = Mesh(meshes.dims, distributed.get_rank(), meshes.coordinate, backend == "fake", backend, "")
    work_dims = tuple(meshes.groups[name] for name in work_groups if name in meshes.groups)
    tensors = [part.local for part in parts.values()] or [*module.parameters()]
    return Layout(mesh, meshes.groups, work_dims, any(map(is_fake, tensors)), gathers)


_DISTRIBUTED = torch.nn.parallel.DistributedDataParallel


def _backend(module: Module) -> str:
    """Return the backend that carries the messages between the devices of a module: gloo, nccl, fake."""
    name = str(torch.distributed.get_backend())
    if name != "undefined":  # that of a default group which has a backend for each kind of device
        return name
    pairs = (pair.split(":") for pair in torch.distributed.get_backend_config().split(","))
    first = next(module.parameters(), None)
    return dict(pairs).get("cpu" if first is None else first.device.type, name)


class Part(NamedTuple):
    """The part of a parameter that this process holds, the shape of the whole, and its mesh."""

    local: Tensor
    shape: tuple[int, ...]
    mesh: Any


def parts_here(modules: Iterable[Module]) -> dict[int, Part]:
    """Return the part of each spread parameter, by the id of the parameter.

    While FSDP has gathered a parameter, the module holds the whole; the part is what stays.
    """
    parts: dict[int, Part] = {}
    kind = loaded("torch.distributed.tensor", "DTensor")
    if kind is None:
        return parts
    for module in modules:
        for managed in (each for group in _fsdp_groups(module) for each in group.fsdp_params):
            part = _part(managed.sharded_param)
            parts[id(managed.sharded_param)] = part
            if hasattr(managed, "_unsharded_param"):  # absent until it is gathered for the first time
                parts[id(managed._unsharded_param)] = part
        for parameter in module._parameters.values():
            if isinstance(parameter, kind):
                parts.setdefault(id(parameter), _part(parameter))
            elif parameter is not None and hasattr(parameter, "_st_info"):
                # DistributedDataParallel replaces a DTensor by its part, and keeps its facts here.
                parts[id(parameter)] = Part(
                    parameter, tuple(parameter._st_info.shape), parameter._st_info.mesh
                )
    return parts


def _part(tensor: Any) -> Part:
    return Part(tensor._local_tensor, tuple(tensor.shape), tensor.device_mesh)


def is_fake(tensor: Tensor) -> bool:
    """Tell whether torch computes only the shape of a tensor, in FakeTensorMode."""
    kind = loaded("torch._subclasses.fake_tensor", "FakeTensor")
    return kind is not None and isinstance(tensor, kind)


def spreading_code(layout: Layout | None) -> tuple[str, ...]:
    """Return the folders and files of the code that spreads a model, whose work is not that of the model."""
    if layout is None:
        return ()
    folders = [f"{torch.__file__.rpartition('/')[0]}/distributed/"]
    transformers = sys.modules.get("transformers")
    if transformers is not None:
        folder = str(transformers.__file__).rpartition("/")[0]
        folders += [f"{folder}/distributed/", f"{folder}/integrations/tensor_parallel.py"]
    return tuple(folders)


@contextmanager
def outside_of_fake_mode(layout: Layout | None) -> Iterator[None]:
    """Run the block on real tensors, also where a spread model runs in FakeTensorMode."""
    leave = None if layout is None else loaded("torch._subclasses.fake_tensor", "unset_fake_temporarily")
    with nullcontext() if leave is None else leave():
        yield


def loaded(module: str, name: str) -> Any:
    """Return what a module of torch defines; None if it is not imported: then nothing is of that kind."""
    return getattr(sys.modules.get(module), name, None)


def _fsdp_groups(module: Module) -> Sequence[Any]:
    """Return the groups of parameters that FSDP2 gathers when it runs this module.

    Only private attributes of FSDP2 tell where a parameter is, and on which mesh.
    """
    kind = loaded("torch.distributed.fsdp", "FSDPModule")
    if kind is None or not isinstance(module, kind):
        return ()
    state = module._get_fsdp_state()
    groups = getattr(state, "_fsdp_param_groups", None)  # since torch 2.11; there was one group before
    if groups is None:
        return () if state._fsdp_param_group is None else (state._fsdp_param_group,)
    return list(groups)


def _names_by_fsdp(info: Any) -> tuple[str, ...]:
    """Return the names of the dimensions of the mesh that FSDP has for some parameters."""
    names = mesh_dim_names(info.mesh)
    if info.mesh.mesh_dim_names:
        return names
    roles = {info.shard_mesh_dim: "fsdp", info.replicate_mesh_dim: "dp"}
    return tuple(roles.get(number, name) for number, name in enumerate(names))


def _group_names(mesh: Any) -> Iterator[str]:
    return (mesh.get_group(number).group_name for number in range(mesh.ndim))


def _root(mesh: Any) -> Any:
    """Return the mesh of which this one is a part, or this one."""
    if hasattr(mesh, "_get_root_mesh"):
        return mesh._get_root_mesh()
    return torch.distributed.device_mesh._mesh_resources.get_root_mesh(mesh)


class _Meshes:
    """The dimensions of several meshes, each once; meshes of one model are most often parts of one mesh."""

    def __init__(self) -> None:
        self.dims: dict[str, int] = {}
        self.coordinate: dict[str, int] = {}
        self.groups: dict[str, str] = {}

    def add(self, mesh: Any, names: tuple[str, ...] = ()) -> None:
        root = _root(mesh)
        self._add_dims(root, names if root is mesh else (), own=True)
        # A part may merge dimensions of its root into one, and is then a group of its own.
        self._add_dims(mesh, names, own=False)

    def _add_dims(self, mesh: Any, names: tuple[str, ...], *, own: bool) -> None:
        coordinate = mesh.get_coordinate()
        if coordinate is None:  # this process is not in it
            return
        pairs = zip(_group_names(mesh), names or mesh_dim_names(mesh), strict=True)
        for number, (group, name) in enumerate(pairs):
            if group not in self.groups:
                self.groups[group] = name
                if own:
                    self.dims.setdefault(name, mesh.shape[number])
                    self.coordinate.setdefault(name, coordinate[number])

    def add_group(self, group: Any) -> None:
        """Add the group of a DistributedDataParallel, unless it is that of a mesh dimension."""
        if group.group_name not in self.groups:
            self.groups[group.group_name] = "dp"
            self.dims.setdefault("dp", group.size())
            self.coordinate.setdefault("dp", group.rank())
