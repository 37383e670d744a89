"""Streams of losses, continuations and layers, and outputs that are continued."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from gptrace.cli.resumed import KeptResults
from tests.support import Cli, assert_same_but_for_rounding

COMMANDS = [("topk", "-k", "1"), ("loss",), ("generate", "-n", "2"), ("lens", "-k", "1")]
LINES = b'{"text": "Hello", "id": "a"}\n\n{"text": 5, "id": "c"}\n{"text": "Hello, I am", "id": "d"}\n'

INTERRUPTS = """
import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = torch.nn.Embedding(50257, 4), torch.nn.Linear(4, 50257)
    def forward(self, ids):
        if ids[0, 0] == 66:  # "c"
            raise KeyboardInterrupt
        return self.head(self.embedding(ids))
"""


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "table", "markdown"])
def test_a_bad_line_is_one_error_and_errors_keep_the_callers_keys(
    command: tuple[str, ...], form: str, cli: Cli
) -> None:
    outcome = cli(*command, "--input-format", "jsonl", "-m", "tiny", "-f", form, stdin=LINES)
    assert outcome.code == 1
    assert outcome.err == "error: 2 of 4 prompts failed; the output holds the error of each\n"
    assert "line 2 is empty" in outcome.out
    if form in ("json", "jsonl"):
        rows = [json.loads(line) for line in outcome.out.splitlines()] if form == "jsonl" else None
        rows = rows or json.loads(outcome.out)["results"]
        assert ["error" in row for row in rows] == [False, True, True, False]
        assert [row.get("id") for row in rows] == ["a", None, "c", "d"]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_output_is_continued_after_its_last_whole_row(
    command: tuple[str, ...], tmp_path: Path, cli: Cli
) -> None:
    lines = b"Hello\n\nHello, I am\nand\n"
    file = tmp_path / "out.jsonl"
    arguments = (*command, "--lines", "-m", "tiny", "-o", str(file), "--resume")
    assert cli(*arguments, stdin=lines).code == 1
    whole = file.read_bytes()
    rows = whole.splitlines(keepends=True)
    assert len(rows) == 4
    kept = b"".join(rows[:2]).replace(b'"text": "Hello"', b'"text":"Hello"')  # to see that it is left alone
    file.write_bytes(kept + rows[2][:30])
    for _ in range(2):  # also where nothing is left to do, the output holds an error
        outcome = cli(*arguments, stdin=lines)
        assert (outcome.code, outcome.err) == (
            1,
            "error: 1 of 4 prompts failed; the output holds the error of each\n",
        )
    assert file.read_bytes().startswith(kept)
    again = file.read_bytes().splitlines()
    assert_same_but_for_rounding([json.loads(row) for row in again], [json.loads(row) for row in rows])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("first", "second"), [("float32", "bfloat16"), ("bfloat16", "float32")])
def test_an_output_of_another_dtype_is_not_continued(
    command: tuple[str, ...], first: str, second: str, tmp_path: Path, cli: Cli
) -> None:
    file = tmp_path / "out.jsonl"
    arguments = (*command, "--lines", "-m", "tiny", "-o", str(file), "--resume", "--dtype")
    assert cli(*arguments, first, stdin=b"Hello\nand\n").code == 0
    before = file.read_bytes()
    assert (b'"dtype": "bfloat16"' in before) == (first == "bfloat16")
    outcome = cli(*arguments, second, stdin=b"Hello\nand\nso\n")
    outcome.is_error(2, f"are in {first}, and this run is in {second}", f"give --dtype {first}")
    assert file.read_bytes() == before
    assert cli(*arguments, first, stdin=b"Hello\nand\nso\n").code == 0
    assert file.read_bytes().count(b"\n") == 3


@pytest.mark.parametrize(
    "dtype", ['"x\\u001b[31m; rm -rf /"', "[[1]]", "null", "{}", '"' + "x" * 100_000 + '"']
)
def test_a_damaged_dtype_of_a_row_is_shown_and_never_advised(dtype: str, tmp_path: Path, cli: Cli) -> None:
    file = tmp_path / "out.jsonl"
    arguments = ("topk", "--lines", "-m", "tiny", "-o", str(file), "--resume")
    assert cli(*arguments, stdin=b"Hello\nand\n").code == 0
    file.write_text(file.read_text().replace("{", f'{{"dtype": {dtype}, ', 1))
    file.write_text(file.read_text().replace('{"index": 1', f'{{"dtype": {dtype}, "index": 1'))
    outcome = cli(*arguments, stdin=b"Hello\nand\nso\n")
    outcome.is_error(2, "and this run is in float32", "give another --output")
    assert len(outcome.err) < 500
    assert "\x1b" not in outcome.err


def test_tokens_with_a_key_of_the_callers_that_is_called_dtype_are_continued(
    tmp_path: Path, cli: Cli
) -> None:
    file = tmp_path / "out.jsonl"
    arguments = ("tokens", "--input-format", "jsonl", "-o", str(file), "--resume")
    line = b'{"text": "Hello", "dtype": "int8"}\n'
    for count in (1, 2):
        assert cli(*arguments, stdin=line * count).code == 0
        assert file.read_bytes().count(b'"dtype": "int8"') == count


def test_an_interruption_says_that_the_results_can_be_continued(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "interrupts.py").write_text(INTERRUPTS)
    file = tmp_path / "out.jsonl"
    arguments = (
        "topk",
        "--lines",
        "-m",
        f"{tmp_path}/interrupts.py:Model",
        "--batch-size",
        "1",
        "-o",
        str(file),
    )
    cli(*arguments, stdin=b"a\nb\nc\n").is_error(130, "interrupted", "nothing was written")
    assert not file.exists()
    outcome = cli(*arguments, "--resume", stdin=b"a\nb\nc\n")
    outcome.is_error(130, f"the results so far are in {file}; run the same command again")
    assert file.read_text().count("\n") >= 1


def test_what_cannot_be_continued(tmp_path: Path, cli: Cli) -> None:
    file = tmp_path / "out.jsonl"
    topk = ("topk", "-m", "tiny", "--resume")
    cli(*topk, "Hello").is_error(2, "--resume continues a stream")
    cli(*topk, "--lines", stdin=b"a\n").is_error(2, "--output FILE.jsonl")
    cli(*topk, "--lines", "-o", str(tmp_path / "out.csv"), stdin=b"a\n").is_error(2, "--output FILE.jsonl")
    file.write_text('{"index": 0, "text": "a"}\n')
    cli(*topk, "--lines", "-o", str(file), stdin=b"a\n").is_error(2, "line 1 of", "is not result 0")
    assert file.read_text() == '{"index": 0, "text": "a"}\n'


def test_the_loss_of_a_stream_is_that_of_its_texts(cli: Cli) -> None:
    stream = json.loads(cli("loss", "--lines", "--json", "-m", "tiny", stdin=b"Hello, I am\nso it is\n").out)
    whole = json.loads(cli("loss", "Hello, I am", "so it is", "--json", "-m", "tiny").out)
    assert_same_but_for_rounding(stream, whole)
    assert stream["total"]["tokens"] == 5


@pytest.mark.parametrize("command", COMMANDS)
def test_results_of_another_run_are_not_continued(command: tuple[str, ...], tmp_path: Path, cli: Cli) -> None:
    file = tmp_path / "out.jsonl"
    arguments = (*command, "--lines", "-m", "tiny", "-o", str(file), "--resume")
    assert cli(*arguments, stdin=b"Hello, I am\nand so\n").code == 0
    whole = file.read_bytes()
    for others, lines in (
        (("--seed", "7"), b"Hello, I am\nand so\nit is\n"),
        ((), b"Hello, I am\nso and\nit is\n"),
        (("--set", "n_layers=1"), b"Hello, I am\nand so\n"),
    ):
        outcome = cli(*arguments, *others, stdin=lines)
        outcome.is_error(2, "line 2 of", "is not what this run gives", "another --output")
    cli(*arguments, stdin=b"Hello, I am\n").is_error(2, "holds 2 results", "fewer lines")
    assert file.read_bytes() == whole
    assert cli(*arguments, stdin=b"Hello, I am\nand so\nit is\n").code == 0
    assert len(file.read_bytes().splitlines()) == 3


@pytest.mark.parametrize("last", ["my notes", '{"my": "settings"}', "[1]", '\n{"index"'])
def test_a_last_line_that_is_no_torn_result_is_not_cut_off(last: str, tmp_path: Path, cli: Cli) -> None:
    file = tmp_path / "out.jsonl"
    arguments = ("topk", "--lines", "-m", "tiny", "-k", "1", "-o", str(file), "--resume")
    file.write_text(last)
    cli(*arguments, stdin=b"Hello\n").is_error(2, "line 1", "is not result 0 of gptrace topk")
    assert file.read_text() == last


def test_a_torn_last_line_is_made_again(tmp_path: Path, cli: Cli) -> None:
    file = tmp_path / "out.jsonl"
    arguments = ("topk", "--lines", "-m", "tiny", "-k", "1", "-o", str(file), "--resume")
    for torn in ("", "{", '{"', '{"index": 0, "text": "He', '{"index": 0\0\0\0', "\0\0"):
        file.write_text(torn)
        assert cli(*arguments, stdin=b"Hello\n").code == 0
        assert json.loads(file.read_text())["text"] == "Hello"


def test_an_output_that_another_process_writes_is_left_alone(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "out.jsonl"
    arguments = ("tokens", "--lines", "-o", str(file), "--resume")
    lines = b"Hello\nand\nso\n"
    assert cli(*arguments, stdin=lines[:10]).code == 0
    kept = file.read_bytes()
    with file.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        outcome = cli(*arguments, stdin=lines)
    outcome.is_error(1, f"{file} is being written by another process", "let that one end")
    assert file.read_bytes() == kept

    def grown(path: Path, output: str) -> KeptResults:
        found = KeptResults.read(path, output)
        path.write_bytes(kept + kept)
        return found

    monkeypatch.setattr("gptrace.cli.prompt_lines.KeptResults", SimpleNamespace(read=grown))
    outcome = cli(*arguments, stdin=lines)
    outcome.is_error(1, f"{file} is being written by another process", "let that one end")
    assert file.read_bytes() == kept + kept
