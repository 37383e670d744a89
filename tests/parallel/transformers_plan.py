"""A script for torchrun: what the trace of a Llama says that transformers has spread over the processes.

Each line on stdout is about one way to spread it.
"""

from __future__ import annotations

import json
from tempfile import TemporaryDirectory
from typing import Any

import torch.distributed

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.text.hugging_face import quiet, transformers_library


def report(transformers: Any, folder: str, way: str, options: dict[str, Any]) -> torch.Tensor:
    """Load the model, print what its trace says, and return its logits."""
    with quiet(transformers):
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, **options).eval()
    ids = torch.arange(8)[None]
    with torch.no_grad():
        logits: torch.Tensor = model(ids).logits
        with gptrace.watch(model, measure=["macs"]) as trace:
            again = model(ids).logits
    assert torch.equal(again, logits)
    if torch.distributed.get_rank() == 0:
        calls = [[call.path, call.type, call.outputs[0].dims] for call in trace.calls]
        facts = {"way": way, "calls": calls, "class": trace.model.class_name, "macs": trace.totals.macs}
        print(json.dumps(facts), flush=True)
    return logits


def compare(transformers: Any, folder: str) -> None:
    """Spread the model in two ways, and compare its logits with those of the whole model."""
    config = transformers.distributed.DistributedConfig
    whole = report(transformers, folder, "whole", {})
    for way, sizes in (("tp", {"tp_size": 2}), ("fsdp", {"fsdp_size": 2})):
        logits = report(transformers, folder, way, {"distributed_config": config(**sizes)})
        # The sums of a row are added up in another order: some ulp of logits of about 0.1.
        assert float((logits - whole).abs().max()) < 1e-5


def save(transformers: Any, folder: str) -> None:
    """Write a small Llama into a folder."""
    config = transformers.LlamaConfig(
        vocab_size=101, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    torch.manual_seed(0)
    with quiet(transformers):
        transformers.LlamaForCausalLM(config).save_pretrained(folder)


if __name__ == "__main__":
    torch.distributed.init_process_group("gloo")
    library = transformers_library()
    with TemporaryDirectory() as own:
        folders = [own]
        torch.distributed.broadcast_object_list(folders)  # that of the first process
        if torch.distributed.get_rank() == 0:
            save(library, own)
        torch.distributed.barrier()
        compare(library, folders[0])
        torch.distributed.barrier()
    torch.distributed.destroy_process_group()
