"""One error line with one hint line for every kind of bad input, failure and interruption."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest

from gptrace.cli import output_file, streams
from gptrace.errors import OutputError
from tests.support import Cli


@pytest.mark.parametrize(
    ("arguments", "code", "parts"),
    [
        (["run", ""], 2, ["the text is empty"]),
        (["rnu", "x"], 2, ["rnu", "Did you mean 'run'"]),
        (["Hello"], 2, ["Hello", 'gptrace run "Hello"']),
        (["run", "--frm", "x"], 2, ["--frm", "gptrace run --help"]),
        (["run", "-5 degrees"], 2, ["-5", "goes after --"]),
        (["run", "-k"], 2, ["-k", "requires an argument"]),
        (["run", "a", "-k", "two"], 2, ["error: --k two is not a whole number"]),
        (["run", "a", "-k", "0"], 2, ["error: --k is 0", "it must be from 1 to 50257"]),
        (["topk", "a", "-k", "50258"], 2, ["k is 50258", "from 1 to 50257"]),
        (["run", "a", "--seed", "1.5"], 2, ["error: --seed 1.5 is not a whole number"]),
        (["run", "a", "--seed", "99999999999999999999999"], 2, ["does not fit"]),
        (["run", "a", "--temperature", "hot"], 2, ["error: --temperature hot is not a number"]),
        (["run", "a", "--temperature", "0"], 2, ["temperature is 0.0"]),
        (["run", "a", "--temperature", "nan"], 2, ["temperature is nan"]),
        (["run", "a", "-m", "gpt2-smal"], 2, ["gpt2-smal", "did you mean gpt2-small"]),
        (["run", "a", "-f", "yaml"], 2, ["'yaml' is not a format", "table, json, jsonl, csv, markdown"]),
        (["run", "a", "-f", "csv", "--json"], 2, ["--json and --format csv"]),
        (
            ["run", "a", "--set", "n_head=2"],
            2,
            ["'n_head' is not a configuration key", "did you mean n_heads"],
        ),
        (["run", "a", "--set", "n_heads=5"], 2, ["emb_dim 768 is not divisible by n_heads 5"]),
        (["run", "a", "--set", "emb_dim=1" + "0" * 30], 2, ["emb_dim is 1000", "from 1 to 2147483647"]),
        (
            ["run", "a", "--set", "n_layers=100000000", "--device", "meta"],
            2,
            ["n_layers must be from 1 to 10000"],
        ),
        (
            ["run", "a", "-m", "tiny", "--set", "emb_dim=2000000000", "--device", "meta"],
            2,
            ["would have 96,000,201,200,000,000,000 parameters", "at most 1,152,921,504,606,846,975"],
        ),
        (["run", "a", "--set", "vocab_size=" + "9" * 5000], 2, ["vocab_size is"]),
        (["run", "a", "--set", "n_layers=" + "[" * 100000], 2, ["n_layers is '[[[", "characters"]),
        (["run", "a", "--config", "/dev/zero"], 2, ["/dev/zero is a device, not a file"]),
        (["run", "a", "-k", "1_0"], 2, ["--k 1_0 is not a whole number"]),
        (["run", "a", "-k", "٣"], 2, ["is not a whole number"]),
        (["run", "a", "-o", "x" * 300], 2, ["File name too long"]),
        (["run", "a", "--set", "n_heads"], 2, ["'n_heads' is not KEY=VALUE"]),
        (["run", "a", "--config", "/none.json"], 2, ["/none.json", "No such file"]),
        (["run", "a", "--device", "tpu"], 2, ["'tpu' is not a device", "cpu, cuda"]),
        (["run", "a", "--device", "cuda:x"], 2, ["cuda:x"]),
        (["run", "a", "-m", "tiny", "--device", "cuda:99"], 2, ["no device 'cuda:99'", "cpu"]),
        (["run", "a", "--dtype", "int8"], 2, ["'int8' is not a dtype", "float32"]),
        (["run", "--ids", "1 x"], 2, ["'x' is not a token id"]),
        (["run", "--ids", ""], 2, ["list of ids is empty"]),
        (["run", "--ids", "1 -2"], 2, ["id -2 is negative"]),
        (["run", "--ids", "50257"], 2, ["id 50257 at position 0 is not in the vocabulary of 50257"]),
        (["run", "--ids", "1", "text"], 2, ["--ids and text are both given"]),
        (["run", "x " * 70, "-m", "tiny"], 2, ["has 71 tokens", "context holds 64", "--truncate"]),
        (["run", "a", "-m", "gpt3-175b"], 1, ["175,218,278,400 parameters needs 652.7 GiB", "meta"]),
        (["topk", "a", "--device", "meta"], 2, ["no numbers"]),
        (["explain", "a", "--device", "meta:0"], 2, ["no numbers"]),
        (["topk", "a", "--device", "meta:x"], 2, ["meta:x"]),
        (["run", "a", "--depth", "-1"], 2, ["error: --depth -1 is not a whole number of at least 0"]),
        (["run", "a", "--width", "3"], 2, ["error: --width 3 is not", "at least 40"]),
        (["run", "a", "-o", "/none/x.json"], 2, ["/none is not there"]),
        (["run", "a", "-o", "/"], 2, ["is a folder"]),
        (["run", "a", "-o", "/dev/null/x.json"], 2, ["/dev/null is not a folder", "another file name"]),
        (["run", "a", "-o", "/dev/null/x/y.json"], 2, ["/dev/null is not a folder", "another file name"]),
        (["run", "a", "-o", "x.pdf"], 2, ["x.pdf", ".json, .jsonl"]),
        (["tokens", "a\ud800b"], 2, ["U+D800 at character 2"]),
        (["tokens", os.fsdecode(b"a\xff")], 2, ["byte 0xff at offset 1"]),
        (["tokens", "a", "--lines"], 2, ["from the lines of stdin", "'a'"]),
        (["run", "\x1b[31m", "-m", "\x1b[2J[/]\n"], 2, [r"\x1b[2J[/]\n"]),
    ],
)
def test_bad_input_is_one_error_line_and_one_hint_line(
    cli: Cli, arguments: list[str], code: int, parts: list[str]
) -> None:
    cli(*arguments).is_error(code, *parts)


def test_a_bug_is_reported_without_a_traceback_unless_asked(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without a file of its own, for what a file outside of gptrace raises is user code.
    source = "def broken(*arguments, **options): raise ZeroDivisionError('oh\\nno \\x1b[31m')"
    names: dict[str, Any] = {}
    exec(source, names)
    monkeypatch.setattr("gptrace.session.Session.tokens", names["broken"])
    cli("tokens", "a").is_error(1, r"ZeroDivisionError: oh\nno \x1b[31m", "GPTRACE_DEBUG=1")
    monkeypatch.setenv("GPTRACE_DEBUG", "1")
    assert "Traceback" in cli("tokens", "a").err


def test_ctrl_c_in_the_forward_pass(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gptrace.model.gpt.GELU.forward", interrupted)
    cli("run", "a", "-m", "tiny").is_error(130, "interrupted")


def test_a_second_ctrl_c_does_not_interrupt_the_error_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    handlers: list[object] = []
    monkeypatch.setattr("gptrace.model.gpt.GELU.forward", interrupted)
    monkeypatch.setattr(streams, "write_error", lambda *_: handlers.append(signal.getsignal(signal.SIGINT)))
    assert cli("run", "a", "-m", "tiny").code == 130
    assert handlers == [signal.SIG_IGN]


def test_too_little_memory_says_how_much_is_needed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gptrace.model.free_memory.available_bytes", lambda: 100 * 2**20)
    cli("run", "a").is_error(1, "needs 621.8 MiB", "100.0 MiB is free")
    monkeypatch.setattr("gptrace.model.free_memory.available_bytes", lambda: 30 * 2**20)
    cli("run", *["word " * 40] * 20, "-m", "tiny").is_error(1, "a batch of 20 × 41 tokens needs")
    monkeypatch.setattr("gptrace.model.free_memory.available_bytes", lambda: None)

    def full(*arguments: object) -> None:
        raise RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        )

    monkeypatch.setattr("gptrace.model.gpt.GELU.forward", full)
    short = "not enough memory for a batch of 1 × 1 tokens"
    cli("run", "a", "-m", "tiny").is_error(1, short, shows="raised in trf_blocks.0.ff.layers.1")
    cli("topk", "a", "-m", "tiny").is_error(1, short)


def test_a_file_that_cannot_be_finished_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="No space left"):
        output_file.write_file(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with tempfile.NamedTemporaryFile(dir="/dev/shm", suffix=".json") as shared:  # a folder like any other
        Path(shared.name).write_text("old")
        with pytest.raises(OutputError, match="No space left"):
            output_file.write_file(Path(shared.name), "new")
        assert Path(shared.name).read_text() == "old"


def test_a_row_of_logits_that_does_not_fit_is_an_error_in_advance(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gptrace.model.free_memory.available_bytes", lambda: 60_000_000)
    sizes = ("vocab_size=2100000", "emb_dim=1", "n_heads=1", "n_layers=1")  # 17 MB of parameters
    settings = [part for size in sizes for part in ("--set", size)]
    for command in ("topk", "loss"):
        cli(command, "a b", "-m", "tiny", *settings).is_error(1, "a batch of 1 × 2 tokens needs")


def test_a_loop_of_links_is_no_file_to_write(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "loop.json").symlink_to("loop.json")
    cli("tokens", "a", "-o", str(tmp_path / "loop.json")).is_error(2, "symbolic links", "another file name")
    assert (tmp_path / "loop.json").is_symlink()
