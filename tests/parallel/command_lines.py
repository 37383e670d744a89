"""Command lines in two processes of a mesh, as torchrun starts them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gptrace.cli import main

# The first leaves rank 0 in a collective to which rank 1 never comes.
PLANS = """
import torch

def only_one(model, mesh):
    if mesh.get_rank() == 1:
        raise ValueError("this rank has no plan")
    torch.distributed.all_reduce(torch.ones(1), group=mesh.get_group())
    return model

def every_one(model, mesh):
    raise ValueError("no rank has a plan")
"""
COMMANDS = {
    "of another size": ("--mesh", "tp=4"),
    "only_one": ("--mesh", "tp=2", "--parallel", "{folder}/plan-{rank}.py:only_one"),
    "every_one": ("--mesh", "tp=2", "--parallel", "{folder}/plan-{rank}.py:every_one"),
}


def run(folder: Path, arguments: tuple[str, ...]) -> None:
    """Run `gptrace run` in this process, write what it prints, and end with its exit code.

    If that is not 0, the other process is then terminated, as by torchrun.
    """
    rank = os.environ["RANK"]
    (folder / f"plan-{rank}.py").write_text(PLANS)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        with (folder / f"{name}-{rank}").open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    places = [argument.format(folder=folder, rank=rank) for argument in arguments]
    code = main(["run", "Hello", "-m", "tiny", *places])
    sys.exit(code)
