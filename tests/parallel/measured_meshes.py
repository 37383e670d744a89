"""A script that writes the traces of models on every rank of some meshes, as `Session.trace` measures them.

Its arguments are a folder, and the folder of a Llama. The processes are forked, so that torch is imported
once for all of them; what torchrun tells them about themselves is in their environment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from torch.multiprocessing.spawn import start_processes

from gptrace.model.quiet_torch import torch
from gptrace.ranks import world_size
from tests.parallel.meshes import MESHES, MODELS, file_name, traced


def write(rank: int, folder: Path, count: int, llama: Path) -> None:
    """Write the traces of one of so many processes."""
    torch.set_num_threads(1)  # threads do not survive a fork
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "localhost"}
    assert world_size() == count
    for mesh in MESHES[count]:
        for model in MODELS:
            # Each group needs a port of its own, or a store may still hold what the last one has said.
            os.environ["MASTER_PORT"] = (folder / f"{count}-{mesh}-{model}.port").read_text()
            trace = traced(model, llama, mesh)
            (folder / file_name(model, mesh, rank)).write_text(trace.to_json())


if __name__ == "__main__":
    target, llama = map(Path, sys.argv[1:])
    import torch.distributed.fsdp
    import transformers  # noqa: F401, so that the processes share it

    for count in MESHES:
        start_processes(write, (target, count, llama), count, start_method="fork")  # type: ignore[no-untyped-call]
