"""Stages of a pipeline, and models that transformers has spread, in two processes."""

from __future__ import annotations

import json

import pytest

from tests.parallel.conftest import Jobs

pytestmark = [pytest.mark.slow, pytest.mark.processes]


def test_a_stage_is_traced_as_it_runs_its_micro_batches(jobs: Jobs) -> None:
    """Each micro-batch is a call of the user's modules; that by which torch learns shapes before is none."""
    ways = json.loads((jobs.folder("pipeline stages") / "facts.json").read_text())
    stages = [(way, stage) for way, both in ways.items() for stage in both]
    assert [(way, stage["rank"]) for way, stage in stages] == [
        ("by hand", 0), ("by hand", 1), ("by pipeline", 0), ("by pipeline", 1),
    ]  # fmt: skip
    # Of 8 tokens: 12·D² for the matrices of a block, 2·T·D for attention; D·V for the head.
    block = 8 * (12 * 48**2 + 2 * 8 * 48)
    head = 8 * 48 * 1001
    for way, stage in stages:
        rank, kind = stage["rank"], "Stage" if way == "by hand" else "GraphModule"
        shape, macs = ([1, 8, 48], block) if rank == 0 else ([1, 8, 1001], block + head)
        block_call = [f"trf_blocks.{rank}", "TransformerBlock"]
        assert stage["calls"] == [
            call
            for number in range(1, 5)
            for call in (["", kind, number, 4, shape, macs], [*block_call, number, 4, [1, 8, 48], block])
        ]
        assert stage["macs"] == 4 * macs
        assert stage["notes"] == [
            f"no axis has a name: this is stage {rank + 1} of 2 of a pipeline, and a stage alone "
            "cannot be built at other sizes"
        ]


def test_a_model_that_transformers_has_spread_keeps_its_names(jobs: Jobs) -> None:
    pytest.importorskip("accelerate", reason="transformers spreads no model without accelerate")
    ways = json.loads((jobs.folder("transformers plan") / "facts.json").read_text())
    whole = ways.pop("whole")
    assert whole["calls"][0] == ["", "LlamaForCausalLM", ["batch", "seq_len", "vocab_size"]]
    assert ways == {"tp": whole, "fsdp": whole}
