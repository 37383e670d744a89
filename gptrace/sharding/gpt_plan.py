"""The plan that shards a GPTModel: which layer is split along which mesh dimension."""

from __future__ import annotations

from typing import TypeGuard

from gptrace.model.gpt import GPTModel
from gptrace.model.gpt_parts import has_standard_attention
from gptrace.model.quiet_torch import torch
from gptrace.sharding.divisible import check_divides
from gptrace.sharding.torch_distributed import (
    ColwiseParallel,
    DeviceMesh,
    ParallelStyle,
    Replicate,
    RowwiseParallel,
    fully_shard,
    parallelize_module,
)

# The layers of a block. On each rank a column-wise layer makes a part of its outputs, and a row-wise layer
# takes such a part as its input. The results are added up over the ranks, so the pair needs one all-reduce.
# Attention, which lies between them, sees whole heads.
_COLUMN_WISE = ("att.W_query", "att.W_key", "att.W_value", "ff.layers.0")
_ROW_WISE = ("att.out_proj", "ff.layers.2")


def fits_gpt_plan(module: torch.nn.Module) -> TypeGuard[GPTModel]:
    """Tell whether a module is a GPTModel whose blocks are as in gpt.py."""
    return type(module) is GPTModel and has_standard_attention(module)


def shard_gpt(model: GPTModel, mesh: DeviceMesh) -> None:
    """Shard a GPTModel in place, along the dimensions of the mesh that are there.

    tp     tensor parallelism: the layers above, the output head and the token embedding are split
    fsdp   fully sharded data parallelism: each rank keeps a part of every parameter, and gathers those of a
           block while it runs
    dp     data parallelism: the ranks hold the same; with fsdp, the shards are repeated (HSDP)

    Every rank must hold the same weights. Raises a ConfigError for sizes that cannot be split.
    """
    names = mesh.mesh_dim_names or ()
    if "tp" in names:
        _split_layers(model, mesh["tp"])
    if "fsdp" in names:
        _shard_fully(model, mesh[("dp", "fsdp")] if "dp" in names else mesh["fsdp"])


def _split_layers(model: GPTModel, mesh: DeviceMesh) -> None:
    config = model.config
    check_divides({"n_heads": config.n_heads, "ff_dim": config.hidden_dim}, "tp", mesh.size())
    plan: dict[str, ParallelStyle] = {"tok_emb": RowwiseParallel(input_layouts=Replicate())}
    plan["out_head"] = ColwiseParallel(output_layouts=Replicate())
    for number in range(len(model.trf_blocks)):
        block = f"trf_blocks.{number}"
        plan |= {f"{block}.{path}": ColwiseParallel() for path in _COLUMN_WISE}
        plan |= {f"{block}.{path}": RowwiseParallel() for path in _ROW_WISE}
    # Without a source rank nothing is sent: each rank cuts its part out of the same weights.
    parallelize_module(model, mesh, plan, src_data_rank=None)
    if config.tie_head:  # both were split by rows, each for itself
        model.out_head.weight = model.tok_emb.weight


def _shard_fully(model: GPTModel, mesh: DeviceMesh) -> None:
    for block in model.trf_blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
