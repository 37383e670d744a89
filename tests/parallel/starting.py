"""Start a script of this folder, alone or in several processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support import HANG_TIMEOUT, environment

_FOLDER = Path(__file__).parent


def torchrun(script: str, processes: int) -> str:
    """Run a script beside this file in several processes, as torchrun does; return what it prints."""
    launcher = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}")
    return _run(*launcher, str(_FOLDER / script))


def start_script(script: str, *arguments: str) -> str:
    """Run a script beside this file, which may start processes; return what it prints."""
    return _run(str(_FOLDER / script), *arguments)


def _run(*arguments: str) -> str:
    outcome = subprocess.run(
        [sys.executable, *arguments],
        env=environment(PYTHONPATH=str(_FOLDER.parents[1]), OMP_NUM_THREADS="1"), capture_output=True,
        text=True, timeout=HANG_TIMEOUT, check=False,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout
