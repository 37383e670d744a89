"""Models that torch has spread over several processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import environment

pytestmark = [pytest.mark.slow, pytest.mark.processes]


def torchrun(script: str, processes: int) -> str:
    """Run a script beside this file in several processes; return what it prints."""
    folder = Path(__file__).parent
    outcome = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
         str(folder / script)],
        env=environment(PYTHONPATH=str(folder.parents[1]), OMP_NUM_THREADS="1"), capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def test_a_gpt_that_is_spread_over_four_processes_gives_the_same_logits() -> None:
    torchrun("tensor_parallel.py", processes=4)


def test_a_spread_model_keeps_its_names_and_its_work() -> None:
    """Its classes, axis names and MACs are the user's: no collective, no copy, no class of torch's."""
    lines = [json.loads(line) for line in torchrun("spread_models.py", processes=2).splitlines()]
    whole, *others = lines
    assert whole["calls"][0] == ["", "GPTModel", [["batch", "seq_len", "vocab_size"]]]
    assert [other.pop("name") for other in others] == ["data parallel", "distributed", "sharded"]
    del whole["name"]
    assert others == [whole] * 3
