"""Fixtures: the real 124M model once for the whole run, and the command line, in process and outside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from gptrace.cli import main
from gptrace.model.build import load
from gptrace.model.gpt import GPTModel
from gptrace.model.selection import select_model
from gptrace.record import Trace

collect_ignore = ["benchmarks"]  # scripts: to import them is to run them


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--overwrite", action="store_true", help="rewrite the golden files")


def ours(name: str) -> GPTModel:
    module = load(select_model(name)).module
    assert isinstance(module, GPTModel)
    return module


@pytest.fixture(scope="session")
def gpt2_small() -> GPTModel:
    """The 124M model with the weights of seed 123."""
    return ours("gpt2-small")


@pytest.fixture
def tiny() -> GPTModel:
    return ours("tiny")


def still(trace: Trace) -> Trace:
    """A trace without what differs from run to run: times and versions."""
    return replace(
        trace,
        versions={"gptrace": "0", "torch": "0", "python": "0"},
        calls=tuple(replace(call, seconds=0.0) for call in trace.calls),
        totals=replace(trace.totals, seconds=0.0123),
    )


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    def is_error(self, code: int, *parts: str, shows: str | None = None) -> None:
        """Check for exactly one error line and one hint line, holding `parts`.

        On stdout is nothing, or a table that holds `shows`: a forward pass is shown up to where it broke.
        """
        lines = self.err.splitlines()
        assert self.code == code, self.err
        assert self.out == "" if shows is None else shows in self.out
        assert [line.split(":")[0] for line in lines] == ["error", "hint"], self.err
        for part in parts:
            assert part in self.err, self.err


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Run the command line in this process."""
    for name in list(os.environ):
        if name.startswith("GPTRACE_") or name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name)

    def run(*arguments: str) -> Outcome:
        code = main(arguments)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process of its own: buffered output, no colour wishes, no defaults of ours."""
    dropped = ("PYTHONUNBUFFERED", "NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS")
    kept = {k: v for k, v in os.environ.items() if k not in dropped and not k.startswith("GPTRACE_")}
    return kept | changes


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., Outcome]:
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
