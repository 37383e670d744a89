"""A script that runs jobs in several processes each, which are forked, so that all imports are made once.

Its argument is a folder; each job writes into a folder in it that has the job's name. What torchrun tells
processes about themselves is in their environment. A job that fails leaves a file `failure`, and the next
one runs.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from torch.multiprocessing.spawn import start_processes

from gptrace.model.quiet_torch import torch
from tests.parallel import (
    command_lines,
    logits_of_ranks,
    measured_meshes,
    pipeline_stages,
    spread_models,
    spread_traces,
    transformers_plan,
)
from tests.parallel.meshes import LLAMA, MESHES, MODELS, save_llama, traced
from tests.parallel.ways_to_spread import llama

# Of each job: how many processes it takes, and what each of them calls with the folder of the job.
JOBS: dict[str, tuple[int, Callable[[Path], None]]] = {
    LLAMA: (1, save_llama),
    "logits of ranks": (4, logits_of_ranks.run),
    "spread models": (2, spread_models.run),
    "pipeline stages": (2, pipeline_stages.run),
    "transformers plan": (2, transformers_plan.run),
    **{f"spread traces {count}": (count, spread_traces.run) for count in (2, 4)},
    **{
        f"mesh {mesh} {model}": (count, partial(measured_meshes.run, model=model, mesh=mesh))
        for count, meshes in MESHES.items()
        for mesh in meshes
        for model in MODELS
    },
    **{
        f"command line {name}": (2, partial(command_lines.run, arguments=arguments))
        for name, arguments in command_lines.COMMANDS.items()
    },
}


def _start(rank: int, job: Callable[[Path], None], folder: Path, count: int, port: int) -> None:
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "localhost", "MASTER_PORT": str(port),
    }  # fmt: skip
    job(folder)


def main(target: Path) -> None:
    torch.set_num_threads(1)  # threads do not survive a fork
    # These import the rest: what torch, transformers and gptrace import where it is used.
    llama()
    traced("gpt", target, "tp=2", rank=0)
    with ExitStack() as sockets:  # all at once, so that the ports differ: a port may still have late guests
        free = [sockets.enter_context(socket.socket()) for _ in JOBS]
        for each in free:
            each.bind(("localhost", 0))
        ports = [each.getsockname()[1] for each in free]
    for (name, (count, job)), port in zip(JOBS.items(), ports, strict=True):
        folder = target / name
        folder.mkdir()
        try:
            start_processes(_start, (job, folder, count, port), count, start_method="fork")  # type: ignore[no-untyped-call]
        except Exception as error:
            (folder / "failure").write_text(str(error))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
