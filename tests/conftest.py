"""Fixtures: the real 124M model once for the whole run, and the command line, in process and outside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gptrace.cli import main
from gptrace.model.gpt import GPTModel
from tests.support import Cli, Outcome, build_preset, environment

collect_ignore = ["benchmarks"]  # scripts: to import them is to run them


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--overwrite", action="store_true", help="rewrite the golden files")


@pytest.fixture(scope="session")
def gpt2_small() -> GPTModel:
    """The 124M model with the weights of seed 123."""
    return build_preset("gpt2-small")


@pytest.fixture
def tiny() -> GPTModel:
    return build_preset("tiny")


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run the command line in this process."""
    for name in list(os.environ):
        if name.startswith("GPTRACE_") or name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name)

    def run(*arguments: str) -> Outcome:
        code = main(arguments)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def process(tmp_path: Path) -> Cli:
    """Run the command line as a process, in an empty folder, with bytes on stdin or none at all."""

    def run(*arguments: str | bytes, stdin: bytes | None = None, **variables: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "gptrace", *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            cwd=tmp_path,
            env=environment(**variables),
            timeout=120,
            check=False,
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
