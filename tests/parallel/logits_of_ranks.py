"""A GPTModel that is spread over four processes gives the logits of the whole one."""

from __future__ import annotations

from pathlib import Path

import torch.distributed
from torch.distributed.device_mesh import init_device_mesh

from gptrace.model.quiet_torch import torch
from tests.parallel.ways_to_spread import gpt, ids, tensor_parallel


def run(_: Path) -> None:
    """Compare the logits, in a process of the group."""
    torch.distributed.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (torch.distributed.get_world_size(),), mesh_dim_names=("tp",))
    for settings in ({"attention": "eager"}, {"attention": "sdpa", "qkv_bias": True}):
        model = gpt(**settings)
        with torch.no_grad():
            whole = model(ids())
            spread = tensor_parallel(model, mesh)(ids())
        # The sums of a row are added up in another order: some ulp of logits of about 1.
        assert float((whole - spread).abs().max()) < 1e-5, settings
    torch.distributed.destroy_process_group()
