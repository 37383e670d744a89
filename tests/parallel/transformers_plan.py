"""What the trace of a Llama says that transformers has spread over two processes in some way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch.distributed

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.text.hugging_face import quiet, transformers_library
from tests.parallel.ways_to_spread import llama


def traced(library: Any, model_folder: Path, options: dict[str, Any]) -> tuple[dict[str, Any], torch.Tensor]:
    """Load the model; return what its trace says, and its logits."""
    with quiet(library):
        model = library.AutoModelForCausalLM.from_pretrained(model_folder, **options).eval()
    ids = torch.arange(8)[None]
    with torch.no_grad():
        logits: torch.Tensor = model(ids).logits
        with gptrace.watch(model, measure=["macs"]) as trace:
            again = model(ids).logits
    assert torch.equal(again, logits)
    calls = [[call.path, call.type, call.outputs[0].dims] for call in trace.calls]
    return {"calls": calls, "class": trace.model.class_name, "macs": trace.totals.macs}, logits


def save(library: Any, model_folder: Path) -> None:
    """Write a small Llama into a folder."""
    with quiet(library):
        llama().save_pretrained(model_folder)


def run(folder: Path) -> None:
    """Write the facts by the name of the way, in a process of the group."""
    torch.distributed.init_process_group("gloo")
    library, is_first = transformers_library(), torch.distributed.get_rank() == 0
    if is_first:
        save(library, folder / "model")
    torch.distributed.barrier()
    config = library.distributed.DistributedConfig
    whole, expected = traced(library, folder / "model", {})
    ways = {"whole": whole}
    for way, sizes in (("tp", {"tp_size": 2}), ("fsdp", {"fsdp_size": 2})):
        ways[way], logits = traced(library, folder / "model", {"distributed_config": config(**sizes)})
        # The sums of a row are added up in another order: some ulp of logits of about 0.1.
        assert float((logits - expected).abs().max()) < 1e-5
    if is_first:
        (folder / "facts.json").write_text(json.dumps(ways))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
