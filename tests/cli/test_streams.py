"""Streams of prompts: order, errors in their places, batches that change nothing, pipes that close."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

import gptrace
from tests.support import HANG_TIMEOUT, Cli, Outcome, assert_same_but_for_rounding, environment
from tests.warm import warm_python


def jsonl(outcome: Outcome) -> list[dict[str, object]]:
    return [json.loads(line) for line in outcome.out.splitlines()]


def test_tokens_of_lines_come_as_a_stream(cli: Cli, tmp_path: Path) -> None:
    lines = [b"Hello", b"", b"ab\xff", "你好".encode()]
    outcome = cli("tokens", "--lines", "-f", "jsonl", stdin=b"\n".join(lines))
    assert (outcome.code, outcome.err) == (
        1,
        "error: 2 of 4 prompts failed; the output holds the error of each\n",
    )
    results = jsonl(outcome)
    assert [result["ids"] for result in results] == [[15496], [], [], [19526, 254, 25001, 121]]
    assert ["error" in result for result in results] == [False, True, True, False]
    table = cli("tokens", "--lines", stdin=b"Hello\n\nBye\n").out
    assert table.startswith('1 token of "Hello"')
    assert "error: line 2 is empty (prompt 1; drop empty lines" in table

    prompts = b'{"text": "Hi", "id": 7}\n{"ids": [3], "id": 8}\n{"text": 3, "id": 9}\n'
    file = tmp_path / "tokens.jsonl"
    arguments = ("tokens", "--input-format", "jsonl", "-o", str(file), "--resume")
    assert cli(*arguments, stdin=prompts).code == 1
    whole = file.read_bytes()
    assert [json.loads(row)["id"] for row in whole.splitlines()] == [7, 8, 9]
    file.write_bytes(whole[:-20])
    cli(*arguments, stdin=prompts)
    assert file.read_bytes() == whole


def test_tokens_of_a_stream_without_end_are_made_when_they_are_read() -> None:
    read = []

    def prompts() -> Iterator[str]:
        while True:
            read.append("Hello")
            yield "Hello"

    stream = gptrace.tokens_stream(prompts())
    assert [result.index for result in islice(stream.results, 3)] == [0, 1, 2]
    assert len(read) == 3


def test_a_bad_line_has_an_error_in_its_place_and_the_rest_go_on(cli: Cli) -> None:
    lines = [b"Hello", b"", b"ab\xff", "你好".encode(), b"x" * 9000, b"last"]
    outcome = cli("topk", "--lines", "-f", "jsonl", "-m", "tiny", "--k", "2", stdin=b"\n".join(lines))
    results = jsonl(outcome)
    assert outcome.code == 1
    assert outcome.err == "error: 3 of 6 prompts failed; the output holds the error of each\n"
    assert [result["index"] for result in results] == list(range(6))
    messages = [result.get("error", {}).get("message", "") for result in results]  # type: ignore[attr-defined]
    assert [bool(message) for message in messages] == [False, True, True, False, True, False]
    assert "line 2 is empty" in messages[1]
    assert "line 3 is not UTF-8: byte 0xff at offset 2" in messages[2]
    assert "tokens, the model's context holds 64" in messages[4]
    assert results[3]["text"] == "你好"
    assert [len(result["candidates"]) for result in results] == [2, 0, 0, 2, 0, 2]  # type: ignore[arg-type]


def test_a_line_that_the_tokenizer_fails_at_is_one_bad_line(process: Cli) -> None:
    lines = [b"Hello", b" " * 1_000_000 + b"x", b"last"]
    outcome = process("topk", "--lines", "-f", "jsonl", "-m", "tiny", stdin=b"\n".join(lines))
    results = jsonl(outcome)
    assert outcome.code == 1
    assert ["error" in result for result in results] == [False, True, False]
    message = results[1]["error"]["message"]  # type: ignore[index]
    assert message.startswith("the tokenizer fails at the text '    ")
    assert len(message) < 600


def test_json_lines_in_and_other_keys_out_again(cli: Cli) -> None:
    lines = [
        '{"text": "Hello", "id": "a", "nested": {"b": [1, null]}}',
        '{"ids": [15496, 11]}',
        '{"ids": [15496, 60000], "id": "far"}',
        '{"ids": [true]}',
        '{"ids": "1 2"}',
        '{"text": 5}',
        '{"text": "a", "ids": [1]}',
        '{"text": "a", "candidates": 3}',
        "[1, 2]",
        '{"text": "\\ud800"}',
        "[" * 5000,
        '{"text": "a"',
    ]
    outcome = cli("topk", "--input-format", "jsonl", "--json", "-m", "tiny", stdin="\n".join(lines).encode())
    report = json.loads(outcome.out)["results"]
    assert outcome.code == 1
    assert (report[0]["id"], report[0]["nested"]) == ("a", {"b": [1, None]})
    assert report[1]["ids"] == [15496, 11]
    assert report[2]["id"] == "far"
    parts = [
        "60000", "True is not a token id", "ids are '1 2'", "text is 5", "not an object with either",
        "'candidates', which is reserved", "not an object", "U+D800", "nested too deeply", "not JSON",
    ]  # fmt: skip
    for result, part in zip(report[2:], parts, strict=True):
        assert part in result["error"]["message"]
        assert result["candidates"] == []


@pytest.mark.parametrize("form", ["json", "csv", "table", "markdown", "html"])
def test_a_stream_in_every_format(cli: Cli, form: str) -> None:
    outcome = cli("topk", "--lines", "-f", form, "-m", "tiny", "--k", "1", stdin=b"Hello\n\nHello, I am\n")
    assert outcome.code == 1
    assert "57" in outcome.out
    assert "RAND" in outcome.out
    assert "line 2 is empty" in outcome.out
    if form == "json":
        whole = json.loads(outcome.out)
        assert [result["index"] for result in whole["results"]] == [0, 1, 2]


def test_a_stream_and_its_whole_are_the_same_json(cli: Cli) -> None:
    stream = json.loads(cli("topk", "--lines", "--json", "-m", "tiny", stdin=b"Hello\nHello, I am\n").out)
    whole = json.loads(cli("topk", "Hello", "Hello, I am", "--json", "-m", "tiny").out)
    # Another load of the model, and the prompts in batches of other shapes.
    assert_same_but_for_rounding(stream, whole)


def test_wrong_ways_to_ask_for_a_stream(cli: Cli) -> None:
    cli("topk", "--lines", "-m", "tiny", stdin=b"").is_error(2, "stdin is empty", "one on each line")
    cli("topk", "--input-format", "xml", "-m", "tiny").is_error(2, "'xml'", "jsonl")
    cli("topk", "--lines", "--input-format", "jsonl").is_error(2, "both given")
    cli("topk", "--lines", "Hello").is_error(2, "'Hello'")
    cli("topk", "--batch-size", "0", "Hello").is_error(2, "--batch-size 0")
    cli("topk", "--positions", "first", "Hello", "-m", "tiny").is_error(2, "'first'", "last, all")
    cli("topk", "--token", "two words", "Hello", "-m", "tiny").is_error(2, "'two words' is 2 tokens")
    cli("topk", "--token", "", "Hello", "-m", "tiny").is_error(2, "--token '' is 0 tokens")
    cli("topk", "--threads", "0", "Hello", "-m", "tiny").is_error(2, "--threads 0")


@pytest.mark.processes
def test_a_line_is_answered_before_the_next_one_comes() -> None:
    command = [*warm_python(), "-m", "gptrace", "topk", "--lines", "-f", "jsonl", "-m", "tiny", "--k", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for text in ("Hello", "Hello, I am"):
            child.stdin.write(text.encode() + b"\n")
            child.stdin.flush()
            assert json.loads(child.stdout.readline())["text"] == text  # would wait for ever
        child.stdin.close()
        assert child.wait(timeout=HANG_TIMEOUT) == 0


@pytest.mark.processes
def test_ctrl_c_leaves_whole_lines() -> None:
    command = [*warm_python(), "-m", "gptrace", "topk", "--lines", "-f", "jsonl", "-m", "tiny"]
    reader, writer = os.pipe()
    with subprocess.Popen(
        command, stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as child:
        os.close(reader)
        assert child.stdout is not None
        assert child.stderr is not None
        os.write(writer, b"Hello, I am\n" * 2000)  # many, and the pipe stays open: it cannot come to the end
        first = [child.stdout.readline() for _ in range(3)]
        child.send_signal(signal.SIGINT)
        rest = child.stdout.read().splitlines(keepends=True)
        assert child.wait(timeout=HANG_TIMEOUT) == 130
        assert b"interrupted" in child.stderr.read()
        os.close(writer)
    lines = [*first, *rest]
    assert all(line.endswith(b"\n") for line in lines)
    assert [json.loads(line)["index"] for line in lines] == list(range(len(lines)))


@pytest.mark.processes
def test_a_reader_that_goes_away_is_no_error() -> None:
    script = (
        f"yes 'Hello, I am' | head -n 3000 | {shlex.join(warm_python())} -m gptrace topk --lines -f jsonl "
        "-m tiny --k 1 | head -n 1; echo ${PIPESTATUS[2]}"
    )
    outcome = subprocess.run(
        ["bash", "-c", script], capture_output=True, env=environment(), timeout=HANG_TIMEOUT, check=False
    )
    first, code = outcome.stdout.decode().splitlines()
    assert json.loads(first)["index"] == 0
    assert (code, outcome.stderr) == ("0", b"")


@pytest.mark.slow
@pytest.mark.processes
def test_memory_does_not_grow_with_the_stream(tmp_path: Path) -> None:
    """Twelve times as many lines take no more memory, but for the noise of an allocator."""

    draw = random.Random(1)
    prompts = [{"ids": [draw.randrange(1000) for _ in range(draw.randint(1, 30))]} for _ in range(1000)]
    thousand_lines = "".join(json.dumps(prompt) + "\n" for prompt in prompts)

    def peak(thousands: int) -> float:
        """Return the peak of a process in MiB, after it has answered so many prompts."""
        path = tmp_path / "lines.jsonl"
        path.write_text(thousand_lines * thousands)
        command = [sys.executable, "-m", "gptrace", "topk", "--input-format", "jsonl", "-f", "jsonl"]
        with path.open() as stdin:
            child = subprocess.Popen(
                [*command, "-k", "1", "-m", "tiny", "--set", "vocab_size=1000"],
                stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
            )  # fmt: skip
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        return usage.ru_maxrss / 1024

    assert peak(thousands=12) < peak(thousands=1) + 12


def test_a_model_that_fails_at_one_prompt_answers_the_others(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "picky.py").write_text(
        "import torch\n"
        "class Picky(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.e = torch.nn.Embedding(50257, 8)\n"
        "        self.h = torch.nn.Linear(8, 50257)\n"
        "    def forward(self, x):\n"
        "        if x.shape[1] == 2: raise ValueError('two is too many')\n"
        "        return self.h(self.e(x))\n"
    )
    outcome = cli(
        "topk", "--lines", "-f", "jsonl", "-m", f"{tmp_path}/picky.py:Picky", stdin=b"a\na b\na b c\n"
    )
    results = jsonl(outcome)
    assert outcome.code == 1
    assert ["error" in result for result in results] == [False, True, False]
    assert "two is too many" in results[1]["error"]["message"]  # type: ignore[index]


def test_a_line_too_deep_to_be_written_again_is_one_bad_line(process: Cli) -> None:
    deep = '{"text": "d", "x": ' + "[" * 600 + "]" * 600 + "}"
    lines = f'{deep}\n{{"text": "e", "x": [[1]]}}\n'
    for form in ("jsonl", "json"):
        outcome = process("topk", "-m", "tiny", "--input-format", "jsonl", "-f", form, stdin=lines.encode())
        results = (
            [json.loads(line) for line in outcome.out.splitlines()]
            if form == "jsonl"
            else json.loads(outcome.out)["results"]
        )
        assert "nested too deeply" in results[0]["error"]["message"]
        assert results[1]["x"] == [[1]]


def test_a_model_without_logits_for_some_prompts(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "some.py").write_text(
        "import torch\n"
        "class Some(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.e, self.h = torch.nn.Embedding(50257, 8), torch.nn.Linear(8, 50257)\n"
        "    def forward(self, x):\n"
        "        return None if x.shape[1] == 2 else self.h(self.e(x))\n"
    )
    outcome = cli(
        "topk", "--lines", "-f", "jsonl", "-m", f"{tmp_path}/some.py:Some", stdin=b"a\na b\na b c\n"
    )
    results = [json.loads(line) for line in outcome.out.splitlines()]
    assert ["error" in result for result in results] == [False, True, False]
