"""Models that torch has spread over several processes."""

from __future__ import annotations

import json

import pytest

from tests.parallel.starting import torchrun

pytestmark = [pytest.mark.slow, pytest.mark.processes]


def test_a_gpt_that_is_spread_over_four_processes_gives_the_same_logits() -> None:
    torchrun("tensor_parallel.py", 4)


def test_a_spread_model_keeps_its_names_and_its_work() -> None:
    """Its classes, axis names and MACs are the user's: no collective, no copy, no class of torch's."""
    lines = [json.loads(line) for line in torchrun("spread_models.py", 2).splitlines()]
    whole, *others = lines
    assert whole["calls"][0] == ["", "GPTModel", [["batch", "seq_len", "vocab_size"]]]
    assert [other.pop("name") for other in others] == ["data parallel", "distributed", "sharded"]
    del whole["name"]
    assert others == [whole] * 3
