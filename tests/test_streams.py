"""Streams of prompts: order, errors in their places, batches that change nothing, pipes that close."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch

import gptrace
from gptrace.model import GPTModel
from gptrace.predict.batching import BatchBudget, batches, run_in_order
from gptrace.predict.candidates import candidates_of_rows
from gptrace.text.lines import LINE_LIMIT, PromptLines
from tests.conftest import Outcome, environment

Cli = Callable[..., Outcome]
Process = Callable[..., Outcome]
WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "you",
    "that",
    "it",
    "he",
    "was",
    "for",
    "on",
    "are",
    "as",
    "with",
]


def prompts(count: int, seed: int = 1) -> list[str]:
    chosen = random.Random(seed)
    return [" ".join(chosen.choices(WORDS, k=chosen.randint(1, 30))) for _ in range(count)]


def jsonl(done: Outcome) -> list[dict[str, object]]:
    return [json.loads(line) for line in done.out.splitlines()]


def test_batches_waste_little_and_hold_every_prompt_once() -> None:
    lengths = [random.Random(n).randint(1, 40) for n in range(300)]
    found = batches(lengths, BatchBudget(tokens=256), may_pad=True)
    assert sorted(number for batch in found for number in batch) == list(range(300))
    assert all(max(lengths[n] for n in batch) * len(batch) <= 256 for batch in found)
    padded = sum(max(lengths[n] for n in batch) * len(batch) for batch in found)
    assert padded < 1.15 * sum(lengths)
    of_one_length = batches(lengths, BatchBudget(tokens=256), may_pad=False)
    assert all(len({lengths[n] for n in batch}) == 1 for batch in of_one_length)
    assert all(len(batch) <= 3 for batch in batches(lengths, BatchBudget.for_device("cpu", 3), may_pad=True))


def test_a_prompt_longer_than_the_budget_is_a_batch_of_its_own() -> None:
    assert batches([1000, 2], BatchBudget(tokens=10), may_pad=True) == [[0], [1]]


def test_results_come_in_order_and_no_later_than_they_must() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(10_000):
            taken.append(number)
            yield number

    results = run_in_order(
        numbers(),
        lambda number: None if number % 7 == 3 else 1 + number % 5,
        lambda batch: [f"ran {number}" for number in batch],
        lambda number: f"refused {number}",
        BatchBudget(tokens=8),
        may_pad=True,
    )
    expected = (f"refused {n}" if n % 7 == 3 else f"ran {n}" for n in range(10_000))
    assert next(results) == next(expected)
    assert len(taken) == BatchBudget(tokens=8).pool  # read ahead, but not to the end
    assert list(results) == list(expected)


def test_a_batch_changes_nothing_but_the_last_bits(tiny: GPTModel) -> None:
    texts = prompts(60)
    alone = [gptrace.topk(text, k=5, model=tiny).results[0] for text in texts]
    order = list(range(60))
    random.Random(4).shuffle(order)
    for size in (None, 1, 7):
        together = gptrace.topk([texts[n] for n in order], k=5, model=tiny, batch_size=size).results
        for number, result in zip(order, together, strict=True):
            assert result.prompt.text == texts[number]
            for ours, other in zip(result.candidates, alone[number].candidates, strict=True):
                assert ours.token == other.token
                assert ours.logit == pytest.approx(other.logit, abs=1e-5)


def test_the_fused_way_finds_what_the_plain_forward_pass_finds(tiny: GPTModel) -> None:
    ids = [[11, 12, 13], [5, 6, 7, 8, 9]]
    found = gptrace.topk(ids=ids, k=4, model=tiny, positions="all")
    for row, result in zip(ids, found.results, strict=True):
        with torch.no_grad():
            logits = tiny.eval()(torch.tensor([row]))[0]
        assert len(result.positions) == len(row)
        for position, prediction in enumerate(result.positions):
            best = logits[position].topk(4)
            assert [one.token.id for one in prediction.candidates] == best.indices.tolist()
            assert [one.logit for one in prediction.candidates] == pytest.approx(
                best.values.tolist(), abs=1e-5
            )
        assert result.candidates == result.positions[-1].candidates
    blocks: Any = tiny.trf_blocks
    assert not any(block.att.fused for block in blocks)


def test_candidates_are_those_of_a_full_sort_ties_and_nan_included() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(-3, 4, (40, 50), generator=generator).float()  # full of equal logits
    rows[3, 7] = torch.nan
    for row, (best, chosen) in zip(rows, candidates_of_rows(rows, 6, chosen=[0, 49]), strict=True):
        order = row.sort(descending=True, stable=True).indices.tolist()
        assert [one.token.id for one in best] == order[:6]
        if not row.isnan().any():
            assert [one.rank for one in chosen] == [order.index(0) + 1, order.index(49) + 1]
            expected = torch.log_softmax(row.double(), dim=-1)
            assert [one.log_probability for one in best] == pytest.approx(expected[order[:6]].tolist())


def test_a_bad_line_has_an_error_in_its_place_and_the_rest_go_on(process: Process) -> None:
    lines = [b"Hello", b"", b"ab\xff", "你好".encode(), b"x" * 9000, b"last"]
    done = process("topk", "--lines", "-f", "jsonl", "-m", "tiny", "--k", "2", stdin=b"\n".join(lines))
    found = jsonl(done)
    assert done.code == 1
    assert done.err == "error: 3 of 6 prompts have no result; each says why in its place\n"
    assert [result["index"] for result in found] == list(range(6))
    messages = [result.get("error", {}).get("message", "") for result in found]  # type: ignore[attr-defined]
    assert [bool(message) for message in messages] == [False, True, True, False, True, False]
    assert "line 2 is empty" in messages[1]
    assert "line 3 is not UTF-8: byte 0xff at offset 2" in messages[2]
    assert "tokens, the model's context holds 64" in messages[4]
    assert found[3]["text"] == "你好"
    assert [len(result["candidates"]) for result in found] == [2, 0, 0, 2, 0, 2]  # type: ignore[arg-type]


def test_json_lines_in_and_other_keys_out_again(process: Process) -> None:
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
    done = process("topk", "--input-format", "jsonl", "--json", "-m", "tiny", stdin="\n".join(lines).encode())
    found = json.loads(done.out)["results"]
    assert done.code == 1
    assert (found[0]["id"], found[0]["nested"]) == ("a", {"b": [1, None]})
    assert found[1]["ids"] == [15496, 11]
    assert found[2]["id"] == "far"
    parts = [
        "60000", "True is not a token id", "ids are '1 2'", "text is 5", "no object with either",
        "'candidates', which a result has too", "no object", "U+D800", "nested too deeply", "not JSON",
    ]  # fmt: skip
    for result, part in zip(found[2:], parts, strict=True):
        assert part in result["error"]["message"]
        assert result["candidates"] == []


@pytest.mark.parametrize("form", ["json", "csv", "table", "markdown", "html"])
def test_a_stream_in_every_format(process: Process, form: str) -> None:
    done = process("topk", "--lines", "-f", form, "-m", "tiny", "--k", "1", stdin=b"Hello\n\nHello, I am\n")
    assert done.code == 1
    assert "57" in done.out
    assert "RAND" in done.out
    assert "line 2 is empty" in done.out
    if form == "json":
        whole = json.loads(done.out)
        assert [result["index"] for result in whole["results"]] == [0, 1, 2]


def test_a_stream_and_its_whole_are_the_same_json(process: Process, cli: Cli) -> None:
    stream = json.loads(process("topk", "--lines", "--json", "-m", "tiny", stdin=b"Hello\nHello, I am\n").out)
    whole = json.loads(cli("topk", "Hello", "Hello, I am", "--json", "-m", "tiny").out)
    assert stream == whole


def test_wrong_ways_to_ask_for_a_stream(process: Process) -> None:
    process("topk", "--lines", "-m", "tiny", stdin=b"").is_error(2, "stdin is empty")
    process("topk", "--input-format", "xml", "-m", "tiny").is_error(2, "'xml'", "jsonl")
    process("topk", "--lines", "--input-format", "jsonl").is_error(2, "both given")
    process("topk", "--lines", "Hello").is_error(2, "'Hello'")
    process("topk", "--batch-size", "0", "Hello").is_error(2, "--batch-size 0")
    process("topk", "--positions", "first", "Hello", "-m", "tiny").is_error(2, "'first'", "last, all")
    process("topk", "--token", "two words", "Hello", "-m", "tiny").is_error(2, "'two words' is 2 tokens")
    process("topk", "--token", "", "Hello", "-m", "tiny").is_error(2, "--token '' is 0 tokens")
    process("topk", "--threads", "0", "Hello", "-m", "tiny").is_error(2, "--threads 0")


def test_a_line_is_answered_before_the_next_one_comes() -> None:
    command = [sys.executable, "-m", "gptrace", "topk", "--lines", "-f", "jsonl", "-m", "tiny", "--k", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for text in ("Hello", "Hello, I am"):
            child.stdin.write(text.encode() + b"\n")
            child.stdin.flush()
            assert json.loads(child.stdout.readline())["text"] == text  # would wait for ever
        child.stdin.close()
        assert child.wait(timeout=60) == 0


def test_ctrl_c_leaves_whole_lines() -> None:
    command = [sys.executable, "-m", "gptrace", "topk", "--lines", "-f", "jsonl", "-m", "tiny"]
    reader, writer = os.pipe()
    with subprocess.Popen(
        command, stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as child:
        os.close(reader)
        assert child.stdout is not None
        assert child.stderr is not None
        os.write(writer, b"Hello, I am\n" * 2000)  # some, and never the end
        first = child.stdout.readline()
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        rest = child.stdout.read()
        assert child.wait(timeout=60) == 130
        assert b"interrupted" in child.stderr.read()
        os.close(writer)
    assert all(json.loads(line) for line in (first + rest).splitlines())
    assert rest.endswith(b"\n") or not rest


def test_a_reader_that_goes_away_is_no_error() -> None:
    script = (
        f"yes 'Hello, I am' | head -n 3000 | {sys.executable} -m gptrace topk --lines -f jsonl -m tiny --k 1 "
        "| head -n 1; echo ${PIPESTATUS[2]}"
    )
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, env=environment(), timeout=120, check=False
    )
    first, code = done.stdout.decode().splitlines()
    assert json.loads(first)["index"] == 0
    assert (code, done.stderr) == ("0", b"")


def test_memory_does_not_grow_with_the_stream(tmp_path: Path) -> None:
    """The peak of a process with thirty times as many lines is the same, to a few MiB."""

    def peak(count: int) -> float:
        lines = tmp_path / "lines.txt"
        lines.write_text("\n".join(prompts(200) * (count // 200)) + "\n")
        command = [sys.executable, "-m", "gptrace", "topk", "--lines", "-f", "jsonl", "--k", "1"]
        with lines.open() as stdin:
            child = subprocess.Popen(
                [*command, "-m", "tiny", "--set", "vocab_size=1000", "--threads", "1"],
                stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
            )  # fmt: skip
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_maxrss / 1024

    assert peak(12_000) < peak(1_000) + 12


def test_a_line_without_end_is_skipped_without_being_kept(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_bytes(b"a\n" + b"x" * (LINE_LIMIT + 70_000) + b"\nb\n" + b"y" * (LINE_LIMIT + 1))
    with path.open("rb") as file:
        found = list(PromptLines(stdin=file.fileno()))
    assert [line.text for line in found] == ["a", None, "b", None]
    assert all(
        line.problem is not None and "longer than 16 MiB" in line.problem.message for line in found[1::2]
    )


def test_a_stream_in_python_takes_any_iterable_and_reads_it_as_it_goes() -> None:
    taken = 0

    def endless() -> Iterator[object]:
        nonlocal taken
        while True:
            taken += 1
            yield {"ids": [taken], "name": taken}

    stream = gptrace.topk_stream(endless(), model="tiny", k=1, batch_size=2)
    first = [next(stream.results) for _ in range(50)]
    assert [result.extra["name"] for result in first] == list(range(1, 51))
    assert taken < 150
    odd = gptrace.topk_stream(["a", 5, None, [1.5], {"text": "b"}, "", [70000]], model="tiny")
    problems = [result.problem is not None for result in odd.results]
    assert problems == [False, True, True, True, False, True, True]


def test_a_model_that_fails_at_one_prompt_answers_the_others(tmp_path: Path, process: Process) -> None:
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
    done = process("topk", "--lines", "-f", "jsonl", "-m", "picky.py:Picky", stdin=b"a\na b\na b c\n")
    found = jsonl(done)
    assert done.code == 1
    assert ["error" in result for result in found] == [False, True, False]
    assert "two is too many" in found[1]["error"]["message"]  # type: ignore[index]


def test_chosen_tokens_have_rank_and_probability(tiny: GPTModel) -> None:
    result = gptrace.topk("Hello", k=2, model=tiny, tokens=[" Paris", "57"]).results[0]
    with torch.no_grad():
        logits = tiny.eval()(torch.tensor([[15496]]))[0, -1]
    assert [one.token.text for one in result.chosen] == [" Paris", "57"]
    for one in result.chosen:
        assert one.rank == 1 + int((logits > logits[one.token.id]).sum())
        assert one.probability == pytest.approx(float(logits.softmax(-1)[one.token.id]), rel=1e-4)


def test_threads_are_set() -> None:
    before = torch.get_num_threads()
    try:
        gptrace.topk("Hello", model="tiny", threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_a_bar_moves_only_for_work_that_takes_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    from gptrace.report import progress

    quick, slow = StringIO(), StringIO()
    assert list(progress.watched(iter(range(5)), quick, "prompts")) == list(range(5))
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    assert list(progress.watched(iter(range(5)), slow, "prompts")) == list(range(5))
    assert quick.getvalue() == ""
    assert "prompts" in slow.getvalue()
    assert "5/?" in slow.getvalue()
