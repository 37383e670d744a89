"""Fixtures: the 124M model once for the whole run, and the command line, in this process and in another."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from gptrace.cli import main
from gptrace.model.gpt import GPTModel
from gptrace.model.quiet_torch import torch
from tests.support import HANG_TIMEOUT, Cli, Outcome, build_preset, environment
from tests.warm import warm_python

# Scripts, whose import runs them; and files that are imported as a user's are, under names of their own.
collect_ignore = [
    "benchmarks",
    "models/right",
    "warm/client.py",
    "warm/server.py",
]

# `make test-fast` leaves out tests with these markers; the fixtures bring their marker with them.
MARKERS_OF_FIXTURES = {
    "gpt2_small": "slow", "original": "slow", "process": "processes", "browser": "processes",
}  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--overwrite", action="store_true", help="rewrite the golden files")


def pytest_configure() -> None:
    # One thread for each worker and each process that it starts: with more, they wait for each other's cores.
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Tests that concern another language set it; the locale of the developer is none of them.
    for name in ("LC_ALL", "LC_MESSAGES", "LANGUAGE", "GPTRACE_LANG"):
        os.environ.pop(name, None)
    os.environ["LANG"] = "C.UTF-8"
    # A shell without job control starts background commands with Ctrl-C ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    # Modules and tests stay until the end, so the garbage collector need not look through them each time.
    gc.collect()
    gc.freeze()
    # Nor through the libraries and records that come later as often as through what is new.
    gc.set_threshold(700, 10, 50)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture, marker in MARKERS_OF_FIXTURES.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(marker)


@pytest.fixture(scope="session")
def gpt2_small() -> GPTModel:
    """The 124M model with the weights of seed 123."""
    return build_preset("gpt2-small")


@pytest.fixture
def tiny() -> GPTModel:
    return build_preset("tiny")


@contextmanager
def piped_to_stdin(data: bytes) -> Iterator[None]:
    """Let stdin be a pipe that holds `data` and then ends."""
    assert len(data) <= 65_536, "more than a pipe holds"
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    original = os.dup(0)
    os.dup2(reader, 0)
    os.close(reader)
    try:
        yield
    finally:
        os.dup2(original, 0)
        os.close(original)


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run the command line in this process, with bytes in a pipe on stdin or with none at all."""
    for name in list(os.environ):
        if name.startswith("GPTRACE_") or name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name)

    def run(*arguments: str, stdin: bytes | None = None) -> Outcome:
        with nullcontext() if stdin is None else piped_to_stdin(stdin):
            code = main(arguments)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def process(tmp_path: Path) -> Cli:
    """Run the command line as a process, in an empty folder, with bytes on stdin or none at all."""

    def run(*arguments: str | bytes, stdin: bytes | None = None, **variables: str) -> Outcome:
        finished = subprocess.run(
            [*warm_python(), "-m", "gptrace", *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            cwd=tmp_path,
            env=environment(**variables),
            timeout=HANG_TIMEOUT,
            check=False,
        )
        return Outcome(finished.returncode, finished.stdout.decode(), finished.stderr.decode())

    return run
