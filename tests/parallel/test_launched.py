"""The command line in processes that torchrun starts: one report, and one error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import HANG_TIMEOUT, environment

pytestmark = [pytest.mark.slow, pytest.mark.processes]

_ROOT = Path(__file__).parents[2]
# The first leaves rank 0 in a collective to which rank 1 never comes.
_PLANS = """
import torch

def only_one(model, mesh):
    if mesh.get_rank() == 1:
        raise ValueError("this rank has no plan")
    torch.distributed.all_reduce(torch.ones(1), group=mesh.get_group())
    return model

def every_one(model, mesh):
    raise ValueError("no rank has a plan")
"""


def launched(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `gptrace run` in two processes."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "gptrace", "run")
    command = [sys.executable, *launcher, "Hello", "-m", "tiny", *arguments]
    variables = environment(PYTHONPATH=str(_ROOT), OMP_NUM_THREADS="1")
    return subprocess.run(
        command, env=variables, capture_output=True, text=True, timeout=HANG_TIMEOUT, check=False
    )


def errors(outcome: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the errors that gptrace tells; torchrun adds a report of its own."""
    return [line for line in outcome.stderr.splitlines() if line.startswith("error: ")]


def test_the_processes_make_one_report() -> None:
    outcome = launched("--mesh", "tp=2", "--json")
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stderr == ""
    trace = json.loads(outcome.stdout)
    ranks = trace["mesh"]["ranks"]
    assert [each["rank"] for each in ranks] == [0, 1]
    assert [each["coordinate"] for each in ranks] == [{"tp": 0}, {"tp": 1}]
    assert sum(each["here"]["parameter_bytes"] for each in ranks) > trace["model"]["parameters"]["bytes"]
    assert "differing" not in trace["mesh"]
    assert trace["predictions"][0]["candidates"]


def test_a_mesh_of_another_size_is_told_once() -> None:
    outcome = launched("--mesh", "tp=4")
    assert outcome.returncode == 1  # that of torchrun, whatever the processes end with
    assert errors(outcome) == ["error: the mesh tp=4 is for 4 processes, but WORLD_SIZE is 2"]
    assert outcome.stderr.count("exitcode  : 2 ") == 1
    assert outcome.stdout == ""


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        ("only_one", "error: rank 1: ValueError: this rank has no plan"),
        ("every_one", "error: ValueError: no rank has a plan"),
    ],
)
def test_a_failure_on_one_rank_ends_all(tmp_path: Path, plan: str, problem: str) -> None:
    (tmp_path / "plan.py").write_text(_PLANS)
    outcome = launched("--mesh", "tp=2", "--parallel", f"{tmp_path}/plan.py:{plan}")
    assert outcome.returncode == 1
    (told,) = errors(outcome)
    assert told.startswith(problem), outcome.stderr
