"""Writes the traces of models that torch has spread, one file for each of them and each rank."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch.distributed
from torch.distributed.device_mesh import init_device_mesh

import gptrace
from gptrace.model.quiet_torch import torch
from tests.parallel.ways_to_spread import (
    ON_FOUR,
    ON_TWO,
    RUN_AGAIN,
    SEQ_LEN,
    fully_sharded,
    gathered_in_bfloat16,
    gpt,
    heads_divided,
    ids,
    llama,
    llama_by_plan,
    llama_by_transformers,
    needs_numbers,
    tensor_parallel,
)

distributed = torch.distributed


def meshes(count: int) -> tuple[Any, Any, Any]:
    """A mesh for tensor parallelism, one for data parallelism, and both in one."""
    if count == 2:
        tensor = init_device_mesh("cpu", (2,), mesh_dim_names=("tp",))
        return tensor, init_device_mesh("cpu", (2,), mesh_dim_names=("fsdp",)), None
    both = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))
    return both["tp"], both["dp"], both


def with_averages() -> torch.nn.Module:
    """A model with buffers, which DistributedDataParallel sends from rank 0 before each forward pass."""
    layers = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4))
    return torch.nn.parallel.DistributedDataParallel(layers)


def models(count: int) -> dict[str, Callable[[], tuple[torch.nn.Module, torch.Tensor]]]:
    """How to make each model, and its input."""
    tensor, data, both = meshes(count)
    distributed_data = torch.nn.parallel.DistributedDataParallel
    return {
        "whole": lambda: (gpt(), ids()),
        "tensor parallel": lambda: (tensor_parallel(gpt(), tensor), ids()),
        "tensor parallel, fused": lambda: (tensor_parallel(gpt(attention="sdpa"), tensor), ids()),
        "too long": lambda: (tensor_parallel(gpt(), tensor), torch.arange(3 * SEQ_LEN)[None]),
        "fully sharded": lambda: (fully_sharded(gpt(), data), ids()),
        "fully sharded, unnamed mesh": lambda: (fully_sharded(gpt(), None), ids()),
        "distributed": lambda: (distributed_data(gpt()), ids()),
        "distributed, averages": lambda: (with_averages(), torch.ones(3, 8)),
        "needs numbers": lambda: (needs_numbers(tensor), torch.ones(3, 8)),
        "gathered in bfloat16": lambda: (gathered_in_bfloat16(data), ids()),
        "heads divided": lambda: (heads_divided(tensor), torch.ones(3, 8)),
        "llama": lambda: (llama(), ids()),
        "llama by plan": lambda: (llama_by_plan(tensor), ids()),
        "llama by transformers": lambda: (llama_by_transformers(tensor), ids()),
        "tensor parallel, fully sharded": lambda: (
            fully_sharded(tensor_parallel(gpt(), tensor), data),
            ids(),
        ),
        "tensor parallel, distributed": lambda: (
            distributed_data(tensor_parallel(gpt(), tensor), device_mesh=data),
            ids(),
        ),
        "hybrid": lambda: (fully_sharded(gpt(), both), ids()),
    }


def run(folder: Path) -> None:
    """Write the traces of this process of the group."""
    distributed.init_process_group("gloo")
    rank, count = distributed.get_rank(), distributed.get_world_size()
    makers = models(count)
    for name in {2: ON_TWO, 4: ON_FOUR}[count]:
        model, tokens = makers[name]()
        has_gradients = "averages" in name
        for turn in ("first", "again") if name in RUN_AGAIN else ("first",):
            with (
                suppress(IndexError),
                torch.set_grad_enabled(has_gradients),
                gptrace.watch(model, measure=["ops", "macs", "memory"]) as trace,
            ):
                model(tokens)
            (folder / f"{name}.{turn}.{rank}.json").write_text(trace.to_json())
    distributed.destroy_process_group()
