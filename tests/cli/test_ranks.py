"""Processes that torchrun starts: one prints, and none takes a part of the input from the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gptrace.cli import main
from gptrace.errors import RunError
from gptrace.ranks import rank, world_size
from tests.support import Cli

_FAILING = """
import torch

class Failing(torch.nn.Module):
    def forward(self, ids):
        raise ValueError("the second process alone")
"""


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    return monkeypatch


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds


@pytest.mark.parametrize(
    "arguments", [["topk", "-"], ["topk"], ["topk", "--lines"], ["loss", "--input-format", "jsonl"], ["run"]]
)
def test_stdin_is_never_shared(cli: Cli, launched: pytest.MonkeyPatch, arguments: list[str]) -> None:
    outcome = cli(*arguments, "-m", "tiny", stdin=b'{"text": "Hello"}\n' * 100)
    outcome.is_error(2, "stdin is shared by the 2 processes", "without torchrun")


def test_the_first_process_alone_prints(cli: Cli, launched: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = ["topk", "Hello", "-m", "tiny", "--json"]
    assert json.loads(cli(*command).out)["results"]
    launched.setenv("RANK", "1")
    outcome = cli(*command)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    file = tmp_path / "trace.json"
    assert cli(*command, "--output", str(file)).code == 0
    assert not file.exists()


def test_a_wrong_command_line_is_told_by_the_first_process(
    cli: Cli, launched: pytest.MonkeyPatch, waits: list[float]
) -> None:
    """The others wait, since torchrun ends the first as soon as one of them has failed."""
    command = ["topk", "Hello", "-m", "tiny", "--k", "0"]
    cli(*command).is_error(2, "--k is 0")
    assert waits == []
    launched.setenv("RANK", "1")
    cli(*command).is_error(2, "error: rank 1: --k is 0")  # it is still there, so the first has no such error
    assert waits == [10]


def test_an_error_that_the_first_process_knows_is_told_once(
    cli: Cli, launched: pytest.MonkeyPatch, waits: list[float]
) -> None:
    def fail(*_: object, **__: object) -> None:
        error = RunError("rank 1: no such file", "copy it there")
        error.is_shared = True
        raise error

    launched.setattr("gptrace.session.Session.trace", fail)
    command = ["run", "Hello", "-m", "tiny"]
    cli(*command).is_error(1, "error: rank 1: no such file")
    launched.setenv("RANK", "1")
    outcome = cli(*command)
    assert (outcome.code, outcome.out, outcome.err, waits) == (1, "", "", [10])


def test_another_process_tells_its_failure_with_its_number(
    cli: Cli, launched: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    launched.setenv("RANK", "1")
    (tmp_path / "model.py").write_text(_FAILING)
    outcome = cli("run", "Hello", "-m", f"{tmp_path}/model.py:Failing")
    outcome.is_error(1, "error: rank 1: ", "the second process alone")


def test_an_interrupt_that_all_processes_get_is_told_once(cli: Cli, launched: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    launched.setattr("gptrace.model.gpt.GELU.forward", interrupted)
    cli("run", "Hello", "-m", "tiny").is_error(130, "interrupted")
    launched.setenv("RANK", "1")
    outcome = cli("run", "Hello", "-m", "tiny")
    assert (outcome.code, outcome.out, outcome.err) == (130, "", "")


@pytest.mark.parametrize("value", ["", "two", "-1", "9" * 20, "²"])
def test_another_value_is_of_no_launcher(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("WORLD_SIZE", value)
    monkeypatch.setenv("RANK", "1")
    assert (world_size(), rank()) == (1, 0)
    assert main(["tokens", "Hello", "--json"]) == 0
