"""The command line in processes that torchrun starts: one report, and one error."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doc_examples import DOCS, blocks, matches
from tests.parallel.conftest import Jobs
from tests.support import HANG_TIMEOUT, Cli, environment

pytestmark = [pytest.mark.slow, pytest.mark.processes]

_ROOT = Path(__file__).parents[2]


def test_the_processes_make_one_report(tmp_path: Path, cli: Cli) -> None:
    """Two processes of torchrun make one record, whose report is that of the documentation."""
    page = DOCS / "many-machines.md"
    (line,) = (block.text for block in blocks(page, "sh") if "torchrun" in block.text)
    (shown,) = (block.text for block in blocks(page, "text") if "measured with gloo" in block.text)
    launcher, *arguments = shlex.split(line)
    assert launcher == "torchrun"
    outcome = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", *arguments, "--json"],
        env=environment(PYTHONPATH=str(_ROOT), OMP_NUM_THREADS="1"), capture_output=True, text=True,
        timeout=HANG_TIMEOUT, check=False,
    )  # fmt: skip
    assert (outcome.returncode, outcome.stderr) == (0, ""), outcome.stderr
    trace = json.loads(outcome.stdout)
    ranks = trace["mesh"]["ranks"]
    assert [each["rank"] for each in ranks] == [0, 1]
    assert [each["coordinate"] for each in ranks] == [{"tp": 0}, {"tp": 1}]
    assert sum(each["here"]["parameter_bytes"] for each in ranks) > trace["model"]["parameters"]["bytes"]
    assert "differing" not in trace["mesh"]
    assert trace["predictions"][0]["candidates"]
    (tmp_path / "trace.json").write_text(outcome.stdout)
    report = cli("show", str(tmp_path / "trace.json")).out
    assert matches(f"...\n{shown}...\n", report)


@pytest.mark.parametrize(
    ("command", "code", "problem"),
    [
        ("of another size", 2, "error: the mesh tp=4 is for 4 processes, but WORLD_SIZE is 2"),
        ("only_one", 1, "error: rank 1: ValueError: this rank has no plan"),
        ("every_one", 1, "error: ValueError: no rank has a plan"),
    ],
)
def test_a_failure_is_told_once_and_ends_all(jobs: Jobs, command: str, code: int, problem: str) -> None:
    folder, failure = jobs.failed(f"command line {command}")
    assert f"terminated with exit code {code}" in failure
    stdout, stderr = (
        "".join((folder / f"{name}-{rank}").read_text() for rank in range(2)) for name in ("stdout", "stderr")
    )
    assert stdout == ""
    (told,) = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert told.startswith(problem)
