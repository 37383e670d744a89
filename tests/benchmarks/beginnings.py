"""512 prompts through the 124M model that share 64 tokens and have 8 of their own."""

from __future__ import annotations

import random
from unittest.mock import patch

import transformers
from rich.table import Table

import gptrace
from gptrace.model.build import load
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import select_model
from gptrace.predict.shared_beginnings import Group
from tests.benchmarks.measuring import alternate, row, timed

PROMPTS = 512
SHARED, OWN = 64, 8
THEIR_BATCH = 32
ROUNDS = 3


def shared_beginnings(table: Table) -> None:
    """Prompts a second: ours, ours without sharing, and transformers in batches of equal length."""
    model = load(select_model("gpt2-small")).module
    chosen = random.Random(1)
    beginning = [chosen.randrange(50256) for _ in range(SHARED)]
    prompts = [beginning + [chosen.randrange(50256) for _ in range(OWN)] for _ in range(PROMPTS)]
    torch.manual_seed(123)
    reference = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()

    def ours() -> None:
        for result in gptrace.topk_stream(prompts, model=model, k=5).results:
            assert len(result.candidates) == 5

    def apart() -> None:
        with (
            patch("gptrace.predict.batching.grouped", lambda rows: [Group(list(range(len(rows))), 0)]),
            patch("gptrace.predict.forward.SHORTEST", SHARED + OWN),
        ):
            ours()

    def batched() -> None:
        with torch.no_grad():
            for start in range(0, PROMPTS, THEIR_BATCH):
                ids = torch.tensor(prompts[start : start + THEIR_BATCH])
                found = reference(input_ids=ids, logits_to_keep=1, use_cache=False)
                torch.softmax(found.logits[:, -1], dim=-1).topk(5)

    turns = {"ours": ours, "apart": apart, "transformers": batched}
    found = alternate({name: timed(turn) for name, turn in turns.items()}, ROUNDS)
    what = f"topk, {PROMPTS} prompts, {SHARED} of {SHARED + OWN} tokens shared"
    for name, goal, against in (
        ("apart", "≥ 4", "without sharing"),
        ("transformers", "≥ 6", f"transformers, batches of {THEIR_BATCH}"),
    ):
        ours_rate, their_rate = ([PROMPTS / second for second in found[which]] for which in ("ours", name))
        row(table, what, ours_rate, their_rate, "prompts/s", goal, against)
