"""The requested mesh, a rank of it, and the plan that shards the model. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gptrace import ranks
from gptrace.errors import OptionError, about_option
from gptrace.model.reference import ObjectReference, parse_reference
from gptrace.sharding.mesh_shape import MeshShape

Mesh = str | Mapping[str, int]
# A function (model, mesh) → the model, or the text that names one, as in "plan.py:parallelize".
Parallel = str | Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class SpreadRequest:
    """A model to be spread over a mesh.

    rank          of this process: the one that is simulated, or the one that torchrun gave it
    is_simulated  this process stands for one rank, and the others do not exist
    plan          the user's function, or a reference to it; None for the plan that belongs to the model
    """

    shape: MeshShape
    rank: int
    is_simulated: bool
    plan: ObjectReference | Callable[[Any, Any], Any] | None = None

    @classmethod
    def of(cls, mesh: Mesh | None, rank: int | None, parallel: Parallel | None) -> SpreadRequest | None:
        """Check the options; return None without a mesh. Raises an OptionError for those that cannot be met.

        Under torchrun the processes are the ranks of the mesh, so their number must be its size.

        >>> request = SpreadRequest.of("fsdp=2,tp=4", 5, None)
        >>> request.rank, request.is_simulated
        (5, True)
        """
        if mesh is None:
            for name, value in (("rank", rank), ("parallel", parallel)):
                if value is not None:
                    problem = f"{name} is given without a mesh"
                    raise OptionError(problem, f"add --mesh tp=2, or drop --{name}", option=name)
            return None
        shape = MeshShape.parse(mesh)
        plan = _plan(parallel)
        if not ranks.is_launched():
            return cls(shape, shape.check_rank(0 if rank is None else rank), True, plan)
        if rank is not None:
            option = "rank"
            problem = f"{option} is given, but torchrun gives each process its own"
            raise OptionError(problem, "drop --rank, or run the command without torchrun", option=option)
        if shape.size != ranks.world_size():
            _refuse_size(shape, ranks.world_size())
        return cls(shape, ranks.rank(), False, plan)

    @property
    def plan_name(self) -> str:
        """The user's plan, as reports name it; "" for the plan that belongs to the model."""
        if self.plan is None:
            return ""
        if isinstance(self.plan, ObjectReference):
            return self.plan.text
        return getattr(self.plan, "__qualname__", type(self.plan).__name__)


@about_option("parallel")
def _plan(parallel: Parallel | None) -> ObjectReference | Callable[[Any, Any], Any] | None:
    if parallel is None or isinstance(parallel, ObjectReference):
        return parallel
    if isinstance(parallel, str):
        return parse_reference(parallel, "--parallel")
    if callable(parallel):
        return parallel
    problem = f"parallel is of type {type(parallel).__name__}, not a function"
    raise OptionError(problem, "give a function (model, mesh), or its name, as in plan.py:parallelize")


def _refuse_size(shape: MeshShape, processes: int) -> None:
    problem = f"the mesh {shape} is for {shape.size:,} processes, but WORLD_SIZE is {processes}"
    hint = f"start {shape.size} with torchrun --nproc-per-node {shape.size}, or unset WORLD_SIZE to simulate"
    raise OptionError(problem, hint, option="mesh")
