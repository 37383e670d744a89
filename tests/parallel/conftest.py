"""What jobs in several processes have written."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import HANG_TIMEOUT, environment

_ROOT = Path(__file__).parents[2]


class Jobs:
    """The folders of the jobs of `processes.py`, by their names."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def folder(self, name: str) -> Path:
        """Return the folder of a job, which must not have failed."""
        folder, failure = self.failed(name)
        assert not failure, failure
        return folder

    def failed(self, name: str) -> tuple[Path, str]:
        """Return the folder of a job, and how it failed."""
        folder = self._target / name
        assert folder.is_dir(), (self._target / "stderr").read_text()
        failure = folder / "failure"
        return folder, failure.read_text() if failure.exists() else ""


@pytest.fixture(scope="session")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    """What all jobs have left; the workers of pytest-xdist share one run of them."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    target = root / "processes"
    with (root / "processes.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            target.mkdir()
            _run_all(target)
    return Jobs(target)


def _run_all(target: Path) -> None:
    with (target / "stderr").open("w") as stderr:
        subprocess.run(
            [sys.executable, "-m", "tests.parallel.processes", str(target)],
            cwd=_ROOT, env=environment(PYTHONPATH=str(_ROOT), OMP_NUM_THREADS="1"), stderr=stderr,
            timeout=HANG_TIMEOUT, check=False,
        )  # fmt: skip
