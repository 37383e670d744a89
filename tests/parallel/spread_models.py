"""A script for torchrun: what the trace of a model says that torch has spread over the processes.

Each line on stdout is about one way to spread a GPT; the test compares it with the GPT as it is.
"""

from __future__ import annotations

import json

import torch.distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import gptrace
from gptrace import GPTModel
from gptrace.model.quiet_torch import torch

_SIZES = {"emb_dim": 48, "n_heads": 4, "n_layers": 2, "vocab_size": 1001, "context_length": 16}


def whole() -> GPTModel:
    """The GPT before it is spread; each process makes the same."""
    torch.manual_seed(123)
    return GPTModel(_SIZES).eval()


def sharded() -> torch.nn.Module:
    """Each process keeps its part of each block, and gathers the others while the block runs."""
    model = whole()
    mesh = init_device_mesh("cpu", (torch.distributed.get_world_size(),), mesh_dim_names=("fsdp",))
    for block in model.trf_blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def _inner_path(path: str) -> str:
    return path.removeprefix("module").removeprefix(".")


def report(name: str, model: torch.nn.Module) -> None:
    """Print what the trace says, with paths as they are in the model itself."""
    with gptrace.watch(model, measure=["macs"]) as trace, torch.no_grad():
        model(torch.arange(16).reshape(2, 8))
    if torch.distributed.get_rank():
        return
    calls = [call for call in trace.calls if call.path or name in ("whole", "sharded")]
    facts = {
        "calls": [
            [_inner_path(call.path), call.type, [spec.dims for spec in call.outputs]] for call in calls
        ],
        "macs": [trace.totals.macs, list(trace.totals.macs_unknown)],
    }
    print(json.dumps({"name": name, **facts}), flush=True)


if __name__ == "__main__":
    torch.distributed.init_process_group("gloo")
    report("whole", whole())
    report("data parallel", torch.nn.DataParallel(whole()))
    report("distributed", torch.nn.parallel.DistributedDataParallel(whole()))
    report("sharded", sharded())
    torch.distributed.destroy_process_group()
