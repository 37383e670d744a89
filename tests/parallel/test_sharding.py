"""Models that are spread over several processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import environment


@pytest.mark.slow
@pytest.mark.processes
def test_a_gpt_that_is_spread_over_four_processes_gives_the_same_logits() -> None:
    script = Path(__file__).parent / "tensor_parallel.py"
    root = str(Path(__file__).parents[2])
    outcome = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=4",
         str(script)],
        env=environment(PYTHONPATH=root, OMP_NUM_THREADS="1"), capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
