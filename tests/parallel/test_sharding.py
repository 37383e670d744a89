"""Models that torch has spread over several processes."""

from __future__ import annotations

import json

import pytest

from tests.parallel.conftest import Jobs

pytestmark = [pytest.mark.slow, pytest.mark.processes]


def test_a_gpt_that_is_spread_over_four_processes_gives_the_same_logits(jobs: Jobs) -> None:
    jobs.folder("logits of ranks")  # it compares, and fails where they differ


def test_a_spread_model_keeps_its_names_and_its_work(jobs: Jobs) -> None:
    """Its classes, axis names and MACs are the user's: no collective, no copy, no class of torch's."""
    ways = json.loads((jobs.folder("spread models") / "facts.json").read_text())
    whole = ways.pop("whole")
    assert whole["calls"][0] == ["", "GPTModel", [["batch", "seq_len", "vocab_size"]]]
    assert ways == dict.fromkeys(("data parallel", "distributed", "sharded"), whole)
