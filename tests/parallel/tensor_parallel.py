"""A script for torchrun: a GPTModel that is spread over the processes gives the logits of the whole one."""

from __future__ import annotations

import torch.distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    RowwiseParallel,
    parallelize_module,
)

from gptrace import GPTModel
from gptrace.model.quiet_torch import torch

_BLOCK: dict[str, type[ColwiseParallel] | type[RowwiseParallel]] = {
    "att.W_query": ColwiseParallel, "att.W_key": ColwiseParallel, "att.W_value": ColwiseParallel,
    "att.out_proj": RowwiseParallel, "ff.layers.0": ColwiseParallel, "ff.layers.2": RowwiseParallel,
}  # fmt: skip
# A vocabulary that no number of processes divides.
_SIZES = {"emb_dim": 48, "n_heads": 4, "n_layers": 2, "vocab_size": 1001, "context_length": 16}


def compare(attention: str, qkv_bias: bool) -> float:
    """Return the greatest difference of two logits, of the whole model and of the one that is spread."""
    torch.manual_seed(123)
    model = GPTModel({**_SIZES, "attention": attention, "qkv_bias": qkv_bias}).eval()
    ids = torch.arange(16).reshape(2, 8)
    plan: dict[str, ParallelStyle] = {"tok_emb": RowwiseParallel(input_layouts=Replicate())}
    plan["out_head"] = ColwiseParallel(output_layouts=Replicate())
    for number in range(len(model.trf_blocks)):
        plan |= {f"trf_blocks.{number}.{path}": style() for path, style in _BLOCK.items()}
    with torch.no_grad():
        whole = model(ids)
        mesh = init_device_mesh("cpu", (torch.distributed.get_world_size(),), mesh_dim_names=("tp",))
        spread = parallelize_module(model, mesh, plan)(ids)
    return float((whole - spread).abs().max())


if __name__ == "__main__":
    torch.distributed.init_process_group("gloo")
    differences = [compare("eager", False), compare("sdpa", True)]
    # The sums of a row are added up in another order: some ulp of logits of about 1.
    assert max(differences) < 1e-5, differences
    torch.distributed.destroy_process_group()
