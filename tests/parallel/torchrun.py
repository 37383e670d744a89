"""Start a script of this folder in several processes, as torchrun does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support import HANG_TIMEOUT, environment


def torchrun(script: str, *arguments: str, processes: int) -> str:
    """Run a script beside this file in several processes; return what it prints."""
    folder = Path(__file__).parent
    outcome = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
         str(folder / script), *arguments],
        env=environment(PYTHONPATH=str(folder.parents[1]), OMP_NUM_THREADS="1"), capture_output=True,
        text=True, timeout=HANG_TIMEOUT, check=False,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout
