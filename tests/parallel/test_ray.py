"""Prompts in files on Ray: each has one result, also after the run was killed. `make test-ray` runs these."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gptrace
from tests.support import HANG_TIMEOUT, environment

pytest.importorskip("ray", reason="Ray is not installed: make test-ray installs it")
from pyarrow import Table, parquet

pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.ray]

ROWS = 2000
PROCESSORS, GPUS = 4, 1  # of the cluster, as it declares
SETTINGS = environment(RAY_USAGE_STATS_ENABLED="0", OMP_NUM_THREADS="1", RAY_AUTH_MODE="disabled")


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """The environment with a cluster at RAY_ADDRESS, which most tests share: starting one takes seconds."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    head = subprocess.Popen(
        [
            *ray, "start", "--head", "--block", f"--port={port}", f"--num-cpus={PROCESSORS}",
            f"--num-gpus={GPUS}", "--object-store-memory=200000000", "--include-dashboard=false",
        ],
        env=SETTINGS | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    assert head.stdout is not None
    assert any(b"Ray runtime started" in line for line in head.stdout)
    yield SETTINGS | {"RAY_ADDRESS": f"127.0.0.1:{port}"}
    head.terminate()  # which ends what it has started
    head.communicate()


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


def command(files: str, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "gptrace", "topk", "--from", files, "--to", "out", "-k", "2", "--workers", "2",
        *more,
    ]  # fmt: skip


def run(folder: Path, settings: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, env=settings, cwd=folder, capture_output=True, text=True, check=False, timeout=HANG_TIMEOUT
    )


def parts(folder: Path) -> list[Path]:
    return sorted((folder / "out").glob("[!._]*.*"))


def results(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for part in parts(folder):
        if part.suffix == ".parquet":
            rows += parquet.read_table(part).to_pylist()
        else:
            rows += map(json.loads, part.read_text().splitlines())
    return rows


def killed_after_its_first_part(
    folder: Path, settings: dict[str, str], arguments: list[str]
) -> dict[Path, bytes]:
    """Return the parts that were written before the run was killed."""
    with subprocess.Popen(arguments, env=settings, cwd=folder, stderr=subprocess.DEVNULL) as first:
        end = time.monotonic() + HANG_TIMEOUT
        while not list((folder / "out/.done").glob("*[!g].parquet")) and first.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.05)
        os.kill(first.pid, signal.SIGKILL)
    # A part counts once Ray has noted its ids.
    noted = {file.stem for file in (folder / "out/.done").glob("*.parquet")}
    return {part: part.read_bytes() for part in parts(folder) if part.stem in noted}


def test_a_run_that_is_killed_goes_on_and_each_prompt_has_one_result(prompts: Path) -> None:
    arguments = command("prompts*.jsonl", "-m", "tiny")
    written = killed_after_its_first_part(prompts, SETTINGS, arguments)
    assert written

    again = run(prompts, SETTINGS, *arguments, "--json")
    assert again.returncode == 1, again.stderr
    assert json.loads(again.stdout) == {"prompts": ROWS, "failed": 21, "folder": str(prompts / "out")}
    # Ray says nothing, and no progress is shown in a pipe.
    assert again.stderr == f"error: 21 of 2,000 prompts failed; {prompts / 'out'} holds the error of each\n"
    # What was complete when it was killed is as it was: no row of it was computed again.
    assert all(part.read_bytes() == data for part, data in written.items())

    rows = results(prompts)
    good = [row for row in rows if "error" not in row]
    assert len(rows) == ROWS
    assert sorted(row["id"] for row in good) == [
        number for number in range(ROWS) if number % 100 != 7 and number != 3
    ]
    assert all(row["kept"] == [row["id"]] for row in good)
    expected = gptrace.topk("Hello " * 5, model="tiny", k=2).results[0].candidates
    found = next(row for row in good if row["id"] % 9 == 4)["candidates"]
    assert [each["id"] for each in found] == [each.id for each in expected]
    messages = sorted(row["error"]["message"] for row in rows if "error" in row)
    assert messages[0] == "line 108 of prompts0.jsonl is not JSON: Expecting value"
    assert "line 4 of prompts0.jsonl has no id, a number or a text" in messages

    other = run(prompts, SETTINGS, *arguments, "--temperature", "2")
    assert other.returncode == 2
    assert "options.temperature was 1.0, and is 2.0" in other.stderr


def test_parquet_goes_on_as_well_on_a_cluster_and_a_terminal_shows_the_progress(
    tmp_path: Path, cluster: dict[str, str]
) -> None:
    rows = [
        {"name": f"n{row}", "text": "" if row == 9 else f"Hello {row}", "score": row / 2}
        for row in range(ROWS)
    ]
    parquet.write_table(Table.from_pylist(rows), tmp_path / "prompts.parquet", row_group_size=700)
    arguments = command("*.parquet", "-m", "tiny", "--parts", "parquet", "--id-key", "name")
    written = killed_after_its_first_part(tmp_path, cluster, arguments)
    # Its workers may live for a moment: what they write now must not count twice.
    code, out, shown = on_a_terminal(tmp_path, cluster, [*arguments, "--lang", "zh"])
    assert code == 1, shown
    assert out == f"{tmp_path / 'out'} 里有 2,000 个 prompt 的结果\n"
    assert re.search(r"prompt .*\d+/\d+ .*/s", shown)
    assert "1 个失败" in shown
    assert "错误：2,000 个 prompt 里有 1 个失败" in shown
    assert "Ray" not in shown
    assert all(part.read_bytes() == data for part, data in written.items())
    found = results(tmp_path)
    assert sorted((row["name"], row["score"]) for row in found) == sorted(
        (row["name"], row["score"]) for row in rows
    )
    assert [row["name"] for row in found if row["error"] is not None] == ["n9"]


def on_a_terminal(folder: Path, settings: dict[str, str], arguments: list[str]) -> tuple[int, str, str]:
    """Run with a terminal as stderr; return the exit code, what went to stdout, and what was shown."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        arguments, env=settings | {"TERM": "xterm", "COLUMNS": "100"}, cwd=folder, stdout=subprocess.PIPE,
        stderr=terminal, stdin=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        os.close(terminal)
        shown = b""
        try:
            while data := os.read(controller, 65536):
                shown += data
        except OSError:  # the terminal has no writer any more
            pass
        assert process.stdout is not None
        out = process.stdout.read().decode()
    os.close(controller)
    return process.returncode, out, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


MODEL = """
import os, signal, torch
class Model(torch.nn.Module):
    def forward(self, ids):
        if (ids == 666).any():
            os.kill(os.getpid(), signal.SIGKILL)  # as the system does where memory is short
        return torch.nn.functional.one_hot(ids, 50257).float()
"""


def test_a_worker_that_always_dies_ends_the_run_and_what_was_written_stays(
    tmp_path: Path, cluster: dict[str, str]
) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    lines = [json.dumps({"id": row, "ids": [666 if row == 1999 else 5]}) for row in range(ROWS)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines))
    outcome = run(tmp_path, cluster, *command("prompts.jsonl", "-m", "model.py:Model"))
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("error: a worker died 4 times at the same prompts")
    assert len(results(tmp_path)) == len({row["id"] for row in results(tmp_path)})
    (tmp_path / "model.py").write_text("raise ValueError('broken')")
    other = run(tmp_path, cluster, *command("prompts.jsonl", "-m", "model.py:Model"))
    assert other.returncode == 2
    assert "model.files.model.py was" in other.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--workers", "3"), "--workers 3 leaves fewer than 2 of the 4 processors of the cluster"),
        (("--threads", "2"), "--workers 2 leaves fewer than 2 of the 4 processors of the cluster"),
        (("--device", "cuda"), "--workers 2, each with 1 GPUs, do not fit into a cluster with 1"),
    ],
)
def test_workers_that_would_wait_for_ever_are_refused(
    prompts: Path, cluster: dict[str, str], options: tuple[str, ...], message: str
) -> None:
    outcome = run(prompts, cluster, *command("prompts*.jsonl", "-m", "tiny", *options))
    assert outcome.returncode == 2
    assert message in outcome.stderr


def test_a_cluster_that_is_not_there_is_an_error(prompts: Path) -> None:
    settings = SETTINGS | {"RAY_ADDRESS": "127.0.0.1:1"}
    outcome = run(prompts, settings, *command("prompts*.jsonl", "-m", "tiny"))
    assert outcome.returncode == 1
    assert outcome.stderr.splitlines() == [
        "error: Ray at RAY_ADDRESS 127.0.0.1:1 cannot be used: Connection refused",
        "hint: start it, or unset RAY_ADDRESS",
    ]


def test_what_is_no_cluster_is_an_error(prompts: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # which never answers
        address = f"127.0.0.1:{server.getsockname()[1]}"
        outcome = run(prompts, SETTINGS | {"RAY_ADDRESS": address}, *command("prompts*.jsonl", "-m", "tiny"))
    assert outcome.returncode == 1
    assert outcome.stderr.startswith(f"error: Ray at RAY_ADDRESS {address} cannot be used: ")


ROWS_AT_REST, MANY_ROWS = 10_000, 100_000
# 90,000 prompts more take 8 bytes for each id, some KB for each of 88 chunks, and what the allocators of
# Python and Arrow keep. Holding the prompts, or their results, would take more.
GROWTH = 48 << 20


def test_the_memory_of_the_driver_does_not_grow_with_the_prompts(
    tmp_path: Path, cluster: dict[str, str]
) -> None:
    peaks = []
    for count in (ROWS_AT_REST, MANY_ROWS):
        folder = tmp_path / str(count)
        folder.mkdir()
        lines = (json.dumps({"id": row, "ids": [row % 1000, 5]}) for row in range(count))
        (folder / "prompts.jsonl").write_text("\n".join(lines))
        with subprocess.Popen(
            command("prompts.jsonl", "-m", "tiny", "--json"), env=cluster, cwd=folder, stdout=subprocess.PIPE
        ) as process:
            peak = 0
            while process.poll() is None:
                peak = peak_memory(process.pid) or peak
                time.sleep(0.2)
            assert process.stdout is not None
            assert json.loads(process.stdout.read())["prompts"] == count
        peaks.append(peak)
    assert peaks[1] - peaks[0] < GROWTH


def peak_memory(process: int) -> int:
    """Return the most memory that a process has had, in bytes; 0 once it has ended."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return 1024 * int(found[1]) if found else 0
