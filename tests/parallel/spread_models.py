"""What the trace of a GPT says that torch has spread over two processes in some way; the test compares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch.distributed
from torch.distributed.device_mesh import init_device_mesh

import gptrace
from gptrace.model.quiet_torch import torch
from tests.parallel.ways_to_spread import fully_sharded, gpt, ids


def _inner_path(path: str) -> str:
    return path.removeprefix("module").removeprefix(".")


def facts(name: str, model: torch.nn.Module) -> dict[str, Any]:
    """Return what the trace says, with paths as they are in the model itself."""
    with gptrace.watch(model, measure=["macs"]) as trace, torch.no_grad():
        model(ids())
    calls = [call for call in trace.calls if call.path or name in ("whole", "sharded")]
    return {
        "calls": [
            [_inner_path(call.path), call.type, [spec.dims for spec in call.outputs]] for call in calls
        ],
        "macs": [trace.totals.macs, list(trace.totals.macs_unknown)],
    }


def run(folder: Path) -> None:
    """Write the facts by the name of the way, in a process of the group."""
    torch.distributed.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (torch.distributed.get_world_size(),), mesh_dim_names=("fsdp",))
    models = {
        "whole": gpt(),
        "data parallel": torch.nn.DataParallel(gpt()),
        "distributed": torch.nn.parallel.DistributedDataParallel(gpt()),
        "sharded": fully_sharded(gpt(), mesh),
    }
    text = json.dumps({name: facts(name, model) for name, model in models.items()})
    if torch.distributed.get_rank() == 0:
        (folder / "facts.json").write_text(text)
    torch.distributed.destroy_process_group()
