"""512 prompts of 4 to 40 tokens through the 124M model, and the matrix products that they need."""

from __future__ import annotations

import random
import statistics

import transformers
from llms_from_scratch.ch04 import GPTModel as CourseModel
from rich.table import Table

import gptrace
from gptrace.model.build import load
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import select_model
from tests.benchmarks.measuring import alternate, row, timed

COURSE_CONFIG = {
    "vocab_size": 50257, "context_length": 1024, "emb_dim": 768, "n_heads": 12, "n_layers": 12,
    "drop_rate": 0.1, "qkv_bias": False,
}  # fmt: skip
PROMPTS = 512
THEIR_BATCH = 32
ROUNDS = 3
D, LAYERS, VOCABULARY = 768, 12, 50257
OUR_BATCH = 1024  # tokens


def streams(table: Table) -> None:
    """Prompts a second, one process, alternating."""
    model = load(select_model("gpt2-small")).module
    halved = load(select_model("gpt2-small", dtype="bfloat16")).module
    chosen = random.Random(1)
    prompts = [[chosen.randrange(50256) for _ in range(chosen.randint(4, 40))] for _ in range(PROMPTS)]
    torch.manual_seed(123)
    reference = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()
    course = CourseModel(COURSE_CONFIG).eval()
    batches = -(-sum(map(len, prompts)) // OUR_BATCH)

    def ours(module: torch.nn.Module = model) -> None:
        for result in gptrace.topk_stream(prompts, model=module, k=5).results:
            assert len(result.candidates) == 5

    def loop() -> None:
        with torch.no_grad():
            for ids in prompts:
                torch.softmax(course(torch.tensor([ids]))[0, -1], dim=-1).topk(5)

    def batched() -> None:
        """What its documentation shows: padded on the left, with a mask, in batches as they come."""
        with torch.no_grad():
            for start in range(0, PROMPTS, THEIR_BATCH):
                part = prompts[start : start + THEIR_BATCH]
                longest = max(map(len, part))
                ids = torch.tensor([[50256] * (longest - len(one)) + one for one in part])
                mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in part])
                found = reference(input_ids=ids, attention_mask=mask, logits_to_keep=1, use_cache=False)
                torch.softmax(found.logits[:, -1], dim=-1).topk(5)

    turns = {
        "ours": ours, "bfloat16": lambda: ours(halved), "loop": loop, "transformers": batched,
        "products": lambda: _products(batches),
    }  # fmt: skip
    found = alternate({name: timed(turn) for name, turn in turns.items()}, ROUNDS)
    speed = _operations(batches) / statistics.median(found["products"]) / 1e9
    rates = {name: [PROMPTS / second for second in seconds] for name, seconds in found.items()}
    what = f"topk, {PROMPTS} prompts"
    for name, goal, against in (
        ("loop", "≥ 8", "the course's model, one by one"),
        ("transformers", "≥ 2", f"transformers, batches of {THEIR_BATCH}"),
        ("products", "≥ 0.9", f"its matrix products alone, {speed:.0f} GFLOP/s"),
    ):
        row(table, what, rates["ours"], rates[name], "prompts/s", goal, against)
    capabilities = torch.cpu.get_capabilities()
    has_unit = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    goal = "≥ 1.7" if has_unit else "no BF16 unit"
    row(table, "  in bfloat16", rates["bfloat16"], rates["ours"], "prompts/s", goal, "in float32")


def _products(batches: int) -> None:
    """The matrix products alone that the prompts need, as large as they ever are in one batch."""
    x = torch.randn(OUR_BATCH, D)
    narrow, wide = torch.randn(D, D), torch.randn(4 * D, D)
    for _ in range(batches * LAYERS):
        for _ in range(4):
            torch.nn.functional.linear(x, narrow)
        torch.nn.functional.linear(torch.nn.functional.linear(x, wide), wide.T)
    torch.nn.functional.linear(torch.randn(PROMPTS, D), torch.randn(VOCABULARY, D))


def _operations(batches: int) -> int:
    """How many floating-point operations `_products` takes."""
    return 2 * (batches * OUR_BATCH * LAYERS * 12 * D * D + PROMPTS * VOCABULARY * D)
