"""A model that is spread over a mesh of processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from gptrace.cli.options.option import option


@dataclass(frozen=True, slots=True)
class MeshOptions:
    """The mesh, the rank of it that is simulated, and the plan that shards the model."""

    title: ClassVar = "Mesh"
    help: ClassVar = (
        "With --mesh the model is sharded, and the trace says what one rank holds, computes and sends. Under "
        "torchrun each process is a rank, and is measured; otherwise one rank is simulated, without weights, "
        "GPUs or other processes."
    )

    mesh: Annotated[
        str | None,
        option(
            "--mesh NAME=SIZE,…", variable=True,
            help="The dimensions of the mesh, the outermost first, as in fsdp=128,tp=8. Without --parallel "
            "they are dp (data parallelism), fsdp (fully sharded) and tp (tensor parallelism).",
        ),
    ] = None  # fmt: skip
    rank: Annotated[
        int | None,
        option("--rank INTEGER", "The rank that is simulated.  [default: 0]", least=0, variable=True),
    ] = None
    parallel: Annotated[
        str | None,
        option(
            "--parallel FILE.py:OBJECT", variable=True,
            help="A function (model, mesh) that shards the model along a DeviceMesh, and returns it.  "
            "[default: a plan for GPTModel; for hf: models, that of transformers]",
        ),
    ] = None  # fmt: skip

    def given(self) -> dict[str, Any]:
        """Return the options as arguments of `Session.trace`."""
        return {"mesh": self.mesh, "rank": self.rank, "parallel": self.parallel}
