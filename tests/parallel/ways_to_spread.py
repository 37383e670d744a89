"""Models that torch spreads over processes, in the ways that people do."""

from __future__ import annotations

from typing import Any

from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import Replicate
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    RowwiseParallel,
    parallelize_module,
)

from gptrace import GPTModel
from gptrace.model.quiet_torch import torch

# A vocabulary that no number of processes divides.
SIZES: dict[str, Any] = {
    "emb_dim": 48, "n_heads": 4, "n_layers": 2, "vocab_size": 1001, "context_length": 16,
}  # fmt: skip
BATCH, SEQ_LEN = 2, 8
_BLOCK: dict[str, type[ColwiseParallel] | type[RowwiseParallel]] = {
    "att.W_query": ColwiseParallel, "att.W_key": ColwiseParallel, "att.W_value": ColwiseParallel,
    "att.out_proj": RowwiseParallel, "ff.layers.0": ColwiseParallel, "ff.layers.2": RowwiseParallel,
}  # fmt: skip


# The models of `spread_traces.py`, on two and on four processes.
ON_TWO = (
    "whole", "tensor parallel", "tensor parallel, fused", "too long", "fully sharded",
    "fully sharded, unnamed mesh", "distributed", "distributed, averages", "needs numbers",
    "llama", "llama by plan", "llama by transformers", "gathered in bfloat16", "heads divided",
)  # fmt: skip
ON_FOUR = ("whole", "tensor parallel, fully sharded", "tensor parallel, distributed", "hybrid")
# A second run has nothing to find out about shapes, or to gather for the first time.
RUN_AGAIN = (
    "tensor parallel", "fully sharded", "llama by plan", "llama by transformers", "gathered in bfloat16",
)  # fmt: skip


def gpt(**settings: Any) -> GPTModel:
    """A GPT before it is spread; each process makes the same."""
    torch.manual_seed(123)
    return GPTModel({**SIZES, **settings}).eval()


def ids() -> torch.Tensor:
    return torch.arange(BATCH * SEQ_LEN).reshape(BATCH, SEQ_LEN)


def tensor_parallel(model: GPTModel, mesh: Any) -> GPTModel:
    """Each process works with its heads, its part of the hidden layer and its part of the vocabulary."""
    plan: dict[str, ParallelStyle] = {"tok_emb": RowwiseParallel(input_layouts=Replicate())}
    plan["out_head"] = ColwiseParallel(output_layouts=Replicate())
    for number in range(len(model.trf_blocks)):
        plan |= {f"trf_blocks.{number}.{path}": style() for path, style in _BLOCK.items()}
    parallelize_module(model, mesh, plan)
    return model


def fully_sharded(model: GPTModel, mesh: Any) -> GPTModel:
    """Each process keeps its part of each block, and gathers the others while the block runs."""
    for block in model.trf_blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def llama() -> Any:
    """A small Llama of transformers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=101, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    torch.manual_seed(123)
    return LlamaForCausalLM(config).eval()


def llama_by_plan(mesh: Any) -> Any:
    """A Llama that `parallelize_module` spreads as the configuration of the model says."""
    model = llama()
    styles: dict[str, type[ColwiseParallel] | type[RowwiseParallel]] = {
        "colwise": ColwiseParallel,
        "rowwise": RowwiseParallel,
    }
    plan: dict[str, ParallelStyle] = {}
    for pattern, style in model.config.base_model_tp_plan.items():
        for number in range(model.config.num_hidden_layers):
            plan[f"model.{pattern}".replace("*", str(number))] = styles[style]()
    parallelize_module(model, mesh, plan)
    return model


def llama_by_transformers(mesh: Any) -> Any:
    """A Llama that transformers spreads itself, as `from_pretrained` does with a DistributedConfig."""
    from transformers import DistributedConfig
    from transformers.distributed.tensor_parallel import apply_tensor_parallelism

    model = llama()
    plan, *_ = model._resolve_parallel_plans(DistributedConfig(tp_size=mesh.size()))
    return apply_tensor_parallelism(model, mesh, plan)


def gathered_in_bfloat16(mesh: Any) -> GPTModel:
    """A GPT that is kept in float32 and runs in bfloat16; the outermost part stays gathered after a run."""
    model = gpt()
    fully_shard(model, mesh=mesh, mp_policy=MixedPrecisionPolicy(param_dtype=torch.bfloat16))
    return model


class Heads(torch.nn.Module):
    """A user's attention that views by a number of heads of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.n_heads = 4
        self.up, self.down = torch.nn.Linear(8, 32), torch.nn.Linear(32, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = self.up(x).view(*x.shape[:-1], self.n_heads, -1)
        result: torch.Tensor = self.down(heads.relu().flatten(-2))
        return result


def heads_divided(mesh: Any) -> Heads:
    """Each process has a part of the heads, and the module is told so."""
    torch.manual_seed(123)
    model = Heads()
    parallelize_module(model, mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()})
    model.n_heads //= mesh.size()
    return model


class NeedsNumbers(torch.nn.Module):
    """A user's model that looks at its numbers, so that it cannot run on device meta."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = torch.nn.Linear(8, 12), torch.nn.Linear(12, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.up(x)
        if hidden.sum().item() > 1e9:
            raise ValueError
        result: torch.Tensor = self.down(hidden)
        return result


def needs_numbers(mesh: Any) -> NeedsNumbers:
    torch.manual_seed(123)
    model = NeedsNumbers()
    parallelize_module(model, mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()})
    return model
