"""Stages of a pipeline, and models that transformers has spread, in two processes."""

from __future__ import annotations

import json

import pytest

from tests.parallel.starting import torchrun

pytestmark = [pytest.mark.slow, pytest.mark.processes]


def test_a_stage_is_traced_as_it_runs_its_micro_batches() -> None:
    """Each micro-batch is a call of the user's modules; that by which torch learns shapes before is none."""
    lines = [json.loads(line) for line in torchrun("pipeline_stages.py", 2).splitlines()]
    assert [line["rank"] for line in lines] == [0, 1, 0, 1]  # cut by hand, then by `pipeline`
    # Of 8 tokens: 12·D² for the matrices of a block, 2·T·D for attention; D·V for the head.
    block = 8 * (12 * 48**2 + 2 * 8 * 48)
    head = 8 * 48 * 1001
    for line in lines:
        rank, kind = line["rank"], "Stage" if line is lines[0] or line is lines[1] else "GraphModule"
        shape, macs = ([1, 8, 48], block) if rank == 0 else ([1, 8, 1001], block + head)
        block_call = [f"trf_blocks.{rank}", "TransformerBlock"]
        assert line["calls"] == [
            call
            for number in range(1, 5)
            for call in (["", kind, number, 4, shape, macs], [*block_call, number, 4, [1, 8, 48], block])
        ]
        assert line["macs"] == 4 * macs
        assert line["notes"] == [
            f"no axis has a name: this is stage {rank + 1} of 2 of a pipeline, and a stage alone "
            "cannot be built at other sizes"
        ]


def test_a_model_that_transformers_has_spread_keeps_its_names() -> None:
    pytest.importorskip("accelerate", reason="transformers spreads no model without accelerate")
    lines = torchrun("transformers_plan.py", 2).splitlines()
    whole, tensor_parallel, sharded = map(json.loads, lines)
    assert whole["calls"][0] == ["", "LlamaForCausalLM", ["batch", "seq_len", "vocab_size"]]
    for spread in (tensor_parallel, sharded):
        assert {**spread, "way": "whole"} == whole
