"""Prompts in files on Ray: each has one result, also after the run was killed. `make test-ray` runs these."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gptrace
from tests.support import environment

pytest.importorskip("ray", reason="Ray is not installed: make test-ray installs it")
pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.ray]

ROWS = 2000
SETTINGS = environment(RAY_USAGE_STATS_ENABLED="0", OMP_NUM_THREADS="1")


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """Four files of 500 lines; 20 of these are no JSON, and one has no id."""
    for number in range(4):
        lines = []
        for row in range(500 * number, 500 * (number + 1)):
            value = {"id": row, "text": "Hello " * (1 + row % 9), "kept": [row]}
            if row == 3:
                del value["id"]
            lines.append("no JSON" if row % 100 == 7 else json.dumps(value))
        (tmp_path / f"prompts{number}.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def command(folder: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "gptrace", "topk", "--from", f"{folder}/prompts*.jsonl",
        "--to", f"{folder}/out", "-m", "tiny", "-k", "2", "--workers", "2", *more,
    ]  # fmt: skip


def parts(folder: Path) -> list[Path]:
    return sorted((folder / "out").glob("*.jsonl"))


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    for part in parts(folder):
        yield from map(json.loads, part.read_text().splitlines())


def run(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(folder, *more), env=SETTINGS, capture_output=True, text=True, check=False)


def test_a_run_that_is_killed_goes_on_and_each_prompt_has_one_result(prompts: Path) -> None:
    with subprocess.Popen(command(prompts), env=SETTINGS, stderr=subprocess.DEVNULL) as first:
        while not parts(prompts) and first.poll() is None:
            time.sleep(0.05)
        os.kill(first.pid, signal.SIGKILL)
    written = {part: part.read_bytes() for part in parts(prompts)}
    assert written

    again = subprocess.run(
        command(prompts, "--json"), env=SETTINGS, capture_output=True, text=True, check=False
    )
    assert again.returncode == 1, again.stderr
    assert json.loads(again.stdout) == {"prompts": ROWS, "failed": 21, "folder": str(prompts / "out")}
    assert "21 of 2,000 prompts failed" in again.stderr
    # What was complete when it was killed is as it was: no row of it was computed again.
    kept = [part for part in written if part.exists()]
    assert all(part.read_bytes() == written[part] for part in kept)

    results = list(rows(prompts))
    good = [row for row in results if "error" not in row]
    assert len(results) == ROWS
    assert sorted(row["id"] for row in good) == [
        number for number in range(ROWS) if number % 100 != 7 and number != 3
    ]
    assert all(row["kept"] == [row["id"]] for row in good)
    expected = gptrace.topk("Hello " * 5, model="tiny", k=2).results[0].candidates
    found = next(row for row in good if row["id"] % 9 == 4)["candidates"]
    assert [each["id"] for each in found] == [each.id for each in expected]
    messages = sorted(row["error"]["message"] for row in results if "error" in row)
    assert messages[0] == "line 108 of prompts0.jsonl is not JSON: Expecting value"
    assert "line 4 of prompts0.jsonl has no id, a number or a text" in messages

    other = run(prompts, "--temperature", "2")
    assert other.returncode == 2
    assert "options.temperature was 1.0, and is 2.0" in other.stderr
