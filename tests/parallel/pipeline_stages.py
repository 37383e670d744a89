"""What the trace of a stage of a pipeline says, of a GPT in two stages.

There is one list of facts about the stages that a user has cut by hand, and one about those of `pipeline`.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch.distributed
from torch.distributed.pipelining import PipelineStage, ScheduleGPipe, SplitPoint, pipeline

import gptrace
from gptrace import GPTModel
from gptrace.model.quiet_torch import torch
from tests.parallel.ways_to_spread import gpt

_MICRO_BATCHES = 4


class Stage(torch.nn.Module):
    """Half of a GPT; its modules keep their paths."""

    def __init__(self, model: GPTModel, rank: int) -> None:
        super().__init__()
        if rank == 0:
            self.tok_emb, self.pos_emb = model.tok_emb, model.pos_emb
        else:
            self.final_norm, self.out_head = model.final_norm, model.out_head
        self.trf_blocks = torch.nn.ModuleDict({str(rank): model.trf_blocks[rank]})
        self.is_first = rank == 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Ids (B, T) or vectors (B, T, D) → vectors (B, T, D) or logits (B, T, V)."""
        if self.is_first:
            x = self.tok_emb(x) + self.pos_emb(torch.arange(x.shape[1]))
        for block in self.trf_blocks.values():
            x = block(x)
        if not self.is_first:
            x = self.out_head(self.final_norm(x))
        return x


def facts(
    stage: Any, module: torch.nn.Module, tokens: torch.Tensor, expected: torch.Tensor
) -> list[dict[str, Any]]:
    """Run a schedule twice, the first time watched; return what the trace of each rank says."""
    schedule, rank = ScheduleGPipe(stage, _MICRO_BATCHES), torch.distributed.get_rank()
    inputs = (tokens,) if rank == 0 else ()
    with torch.no_grad():
        with gptrace.watch(module, measure="all") as trace:
            output = schedule.step(*inputs)
        again = schedule.step(*inputs)
    if rank == 1:
        assert torch.equal(output, again)
        assert float((output - expected).abs().max()) < 1e-5  # the batch is cut, so sums may round otherwise
    calls = [
        [call.path, call.type, call.call, call.calls, call.outputs[0].shape, call.macs]
        for call in trace.calls
        if not call.path or (call.path.startswith("trf_blocks.") and call.path.count(".") == 1)
    ]
    own = {"rank": rank, "calls": calls, "macs": trace.totals.macs, "notes": trace.notes}
    ranks: list[Any] = [None, None]
    torch.distributed.all_gather_object(ranks, own)
    return ranks


def run(folder: Path) -> None:
    """Write the facts, in a process of the group."""
    torch.distributed.init_process_group("gloo")
    rank, device = torch.distributed.get_rank(), torch.device("cpu")
    tokens = torch.arange(32).reshape(4, 8)
    with torch.no_grad():
        expected = gpt()(tokens)
    by_hand = Stage(gpt(), rank)
    ways = {"by hand": facts(PipelineStage(by_hand, rank, 2, device), by_hand, tokens, expected)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        pipe = pipeline(gpt(), (tokens[:1],), split_spec={"trf_blocks.1": SplitPoint.BEGINNING})
        stage, module = pipe.build_stage(rank, device), pipe.get_stage_module(rank)
        ways["by pipeline"] = facts(stage, module, tokens, expected)
    if rank == 0:
        (folder / "facts.json").write_text(json.dumps(ways))
    torch.distributed.destroy_process_group()
