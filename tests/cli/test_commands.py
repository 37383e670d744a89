"""The command line: what it prints, and one error line with one hint line for every kind of bad input."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from gptrace.cli import app, streams
from gptrace.errors import OutputError
from tests.support import Cli, Outcome


def test_help_lists_only_what_works(cli: Cli) -> None:
    top = cli("--help")
    assert top.code == 0
    assert "[batch, seq_len] → [batch, seq_len, vocab_size]\n" in top.out
    assert cli().out == top.out
    for command in app.COMMANDS:
        assert f"\n  {command} " in top.out
        shown = cli(command, "--help")
        assert (shown.code, shown.err) == (0, "")
        assert "Usage: gptrace " + command in shown.out
        assert cli(command, "-h").out == shown.out
    assert "[batch" not in cli("run", "--help").err
    assert cli("--version").out.startswith("gptrace 0.")


@pytest.mark.parametrize("width", [60, 80, 200])
def test_help_says_in_whole_lines_what_each_command_does(process: Cli, width: int) -> None:
    shown = process("--help", COLUMNS=str(width), TERMINAL_WIDTH=str(width))
    overview = shown.out.partition("\nCommands:\n")[2]
    assert "..." not in overview
    assert overview.count(".\n") == len(app.COMMANDS)
    if width >= 80:
        assert overview.count("\n") == len(app.COMMANDS)
        assert overview.endswith("  schema    Print the JSON Schema of an output.\n")


def test_run_prints_flow_header_table_and_candidates(cli: Cli) -> None:
    done = cli("run", "Hello", "-m", "tiny", "-k", "3")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "[batch, seq_len] → [batch, seq_len, emb_dim] → [batch, seq_len, vocab_size]"
    assert lines[1].split(" → ") == ["[1, 1]          ", "[1, 1, 48]               ", "[1, 1, 50257]"]
    assert "random, seed 123" in done.out
    assert '"Hello" 15496' in done.out
    assert 'After "Hello"' in done.out
    assert len(lines[-3:]) == 3
    assert lines[-1].split()[0] == "3"


def test_every_format_of_every_command(cli: Cli) -> None:
    texts = ["Hello, I am", "-m", "tiny"]
    for form in ("table", "json", "jsonl", "csv", "markdown"):
        for arguments in (["run", *texts], ["topk", *texts], ["tokens", "Hello"], ["models"]):
            done = cli(*arguments, "--format", form)
            assert (done.code, done.err) == (0, ""), (arguments, form)
            if form == "json":
                assert json.loads(done.out)["schema"].startswith("gptrace.")
                assert cli(*arguments, "--json").out.replace("seconds", "") != ""
            if form == "jsonl":
                assert all(json.loads(line) for line in done.out.splitlines())


def test_options_of_the_model(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "small.toml"
    config.write_text("vocab_size = 100\nemb_dim = 8\nn_heads = 2\n")
    done = cli(
        "run", "--ids", "1 2", "--ids", "3", "-m", "tiny", "--config", str(config), "--set", "n_layers=1",
        "--seed", "5", "--dtype", "float64", "--temperature", "0.5", "--json",
    )  # fmt: skip
    trace = json.loads(done.out)
    assert trace["model"]["config"]["vocab_size"] == 100
    assert trace["model"]["config"]["n_layers"] == 1
    assert trace["model"]["weights"] == {"source": "random", "seed": 5}
    assert trace["model"]["dtype"] == "float64"
    assert [prompt["padding"] for prompt in trace["inputs"]] == [0, 1]
    assert trace["dims"]["batch"] == 2


def test_variables_are_defaults_and_flags_beat_them(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTRACE_MODEL", "tiny")
    monkeypatch.setenv("GPTRACE_FORMAT", "json")
    monkeypatch.setenv("GPTRACE_K", "2")
    monkeypatch.setenv("GPTRACE_SET", "n_layers=1 drop_rate=0")
    found = json.loads(cli("topk", "Hello").out)
    assert (found["model"]["config"]["n_layers"], found["k"]) == (1, 2)
    assert json.loads(cli("topk", "Hello", "-k", "4").out)["k"] == 4
    assert cli("topk", "Hello", "-f", "csv").out.startswith("index,")
    monkeypatch.setenv("GPTRACE_MODEL", "tinny")
    cli("topk", "Hello").is_error(2, "'tinny' is not a model", "comes from the variable GPTRACE_MODEL")
    monkeypatch.setenv("GPTRACE_MODEL", "tiny")
    for name, value in (
        ("K", "two"),
        ("TEMPERATURE", "0"),
        ("SEED", "x"),
        ("SET", "n_head=1"),
        ("WIDTH", "1"),
    ):
        with monkeypatch.context() as one:
            one.setenv(f"GPTRACE_{name}", value)
            cli("topk", "Hello").is_error(2, f"comes from the variable GPTRACE_{name}")


@pytest.mark.parametrize(
    ("variables", "arguments", "names"),
    [
        ({"MODEL": "tinny"}, ["-m", "tinny"], None),  # the flag has the same wrong value
        ({"K": "2"}, ["--seed", "x"], None),  # a right one beside a wrong flag
        ({"MODEL": "tinny", "K": "2"}, [], "MODEL"),
        ({"SET": "n_layers=2", "MODEL": "tinny"}, [], "MODEL"),
        ({"SET": "n_layers=2 n_heads=5"}, [], "SET"),
        ({"SET": "n_layers"}, [], "SET"),
        ({"SET": "n_layers=2", "CONFIG": "none.json"}, [], "CONFIG"),
        ({"CONFIG": "none.json"}, ["--set", "n_head=1"], "CONFIG"),
        ({"SET": "n_layers=2", "MODEL": "none.py:GPT"}, [], "MODEL"),
        ({"WEIGHTS": "none.pt", "MODEL": "tiny"}, [], "WEIGHTS"),
        ({"DEVICE": "cuda:99"}, [], "DEVICE"),
        ({"DTYPE": "int8"}, [], "DTYPE"),
        ({"SEED": str(2**70)}, [], "SEED"),
        ({"THREADS": "5000"}, [], "THREADS"),
        ({"BATCH_SIZE": "0"}, [], "BATCH_SIZE"),
        ({"FORMAT": "yaml"}, [], "FORMAT"),
        ({"FORMAT": "yaml"}, ["-f", "yaml"], None),
    ],
)
def test_an_error_names_the_variable_that_a_wrong_value_came_from(
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    arguments: list[str],
    names: str | None,
) -> None:
    monkeypatch.setenv("GPTRACE_MODEL", "tiny")
    for name, value in variables.items():
        monkeypatch.setenv(f"GPTRACE_{name}", value)
    done = cli("topk", "Hello", *arguments)
    done.is_error(2)
    assert done.err.count("the variable") == (names is not None)
    assert names is None or done.err.endswith(f"; the value comes from the variable GPTRACE_{names}\n")


def test_a_language_and_columns_of_a_variable(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTRACE_LANG", "fr")
    cli("explain", "Hello", "-m", "tiny").is_error(2, "'fr'", "comes from the variable GPTRACE_LANG")
    monkeypatch.setenv("GPTRACE_COLUMNS", "fr")
    cli("run", "Hello", "-m", "tiny").is_error(2, "'fr'", "comes from the variable GPTRACE_COLUMNS")


def test_output_is_written_whole_and_its_suffix_picks_the_format(cli: Cli, tmp_path: Path) -> None:
    starts = {"json": "{", "jsonl": "{", "csv": "index,", "md": "1 token of", "txt": "1 token of"}
    for suffix, start in starts.items():
        path = tmp_path / f"tokens.{suffix}"
        path.write_text("old")
        path.chmod(0o640)
        assert cli("tokens", "Hello", "-o", str(path)) == Outcome(0, "", "")
        assert path.read_text().startswith(start)
        assert path.stat().st_mode & 0o777 == 0o640
    link = tmp_path / "link.json"
    link.symlink_to("tokens.json")
    cli("tokens", "Bye", "-o", str(link))
    assert link.is_symlink()
    assert json.loads((tmp_path / "tokens.json").read_text())["results"][0]["text"] == "Bye"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "link.json",
        *(f"tokens.{s}" for s in sorted(starts)),
    ]
    assert json.loads(cli("tokens", "a", "-o", "/dev/stdout", "-f", "json").out)
    assert json.loads(cli("tokens", "a", "-o", "-", "-f", "json").out)


def test_schema(cli: Cli) -> None:
    assert json.loads(cli("schema", "trace").out)["title"] == "gptrace run --json"
    assert set(json.loads(cli("schema").out)) == {
        "trace", "topk", "tokens", "explain", "loss", "generate", "lens", "models", "diff",
    }  # fmt: skip
    cli("schema", "trac").is_error(2, "'trac'", "did you mean trace")


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
        (["run", "a", "-k", "0"], 2, ["k is 0", "from 1 to 50257"]),
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
        (["run", "a", "--set", "vocab_size=" + "9" * 5000], 2, ["vocab_size is"]),
        (["run", "a", "--set", "n_layers=" + "[" * 100000], 2, ["n_layers is '[[[", "characters"]),
        (["run", "a", "--config", "/dev/zero"], 2, ["/dev/zero is not a file"]),
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
        (["run", "a", "--depth", "-1"], 2, ["error: --depth -1 is not a whole number of at least 0"]),
        (["run", "a", "--width", "3"], 2, ["--width 3 is", "of at least 40"]),
        (["run", "a", "-o", "/none/x.json"], 2, ["/none is not there"]),
        (["run", "a", "-o", "/"], 2, ["is a folder"]),
        (["run", "a", "-o", "x.pdf"], 2, ["x.pdf", ".json, .jsonl"]),
        (["tokens", "a\ud800b"], 2, ["U+D800 at character 2"]),
        (["tokens", os.fsdecode(b"a\xff")], 2, ["byte 0xff at offset 1"]),
        (["tokens", "a", "--lines"], 2, ["--lines"]),
        (["run", "\x1b[31m", "-m", "\x1b[2J[/]\n"], 2, [r"\x1b[2J[/]\n"]),
    ],
)
def test_bad_input_is_one_error_line_and_one_hint_line(
    cli: Cli, arguments: list[str], code: int, parts: list[str]
) -> None:
    cli(*arguments).is_error(code, *parts)


def test_truncate_keeps_the_end(cli: Cli) -> None:
    done = cli("run", "x " * 70, "-m", "tiny", "--truncate", "--json")
    prompt = json.loads(done.out)["inputs"][0]
    assert (len(prompt["ids"]), prompt["truncated"]) == (64, 7)
    assert "7 tokens on the left" in cli("topk", "x " * 70, "-m", "tiny", "--truncate").out


def test_special_token_or_plain_characters(cli: Cli) -> None:
    assert json.loads(cli("tokens", "<|endoftext|>", "--json").out)["results"][0]["ids"] == [50256]
    plain = cli("tokens", "<|endoftext|>", "--no-special", "--json")
    assert json.loads(plain.out)["results"][0]["ids"] == [27, 91, 437, 1659, 5239, 91, 29]


def test_a_long_text_is_a_table_without_much_work_for_each_row(cli: Cli) -> None:
    """Function calls are counted, not seconds. Rich alone makes 1900 for each row."""
    words, calls = 10_000, 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        outcome = cli("tokens", "word " * words)
    finally:
        sys.setprofile(None)
    lines = outcome.out.splitlines()
    assert len(lines) == 3 + words + 1
    assert lines[1].split() == ["Position", "Id", "Token", "Bytes"]
    assert lines[-1].split() == [str(words), "220", '"', '"', "20"]
    assert calls < 500 * words


def test_a_config_file_with_a_key_twice(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "twice.json"
    path.write_text('{"n_layers": 1, "n_layers": 2}')
    cli("run", "a", "--config", str(path)).is_error(2, "the key 'n_layers' occurs twice")


def test_text_after_a_double_dash(cli: Cli) -> None:
    assert json.loads(cli("tokens", "--json", "--", "-5 degrees").out)["results"][0]["text"] == "-5 degrees"


def test_a_bug_is_reported_without_a_traceback_unless_asked(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("oh\nno \x1b[31m")

    monkeypatch.setattr("gptrace.session.Session.tokens", broken)
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
    monkeypatch.setattr("gptrace.model.memory.available_bytes", lambda: 100 * 2**20)
    cli("run", "a").is_error(1, "needs 621.8 MiB", "100.0 MiB is free")
    monkeypatch.setattr("gptrace.model.memory.available_bytes", lambda: 30 * 2**20)
    cli("run", *["word " * 40] * 20, "-m", "tiny").is_error(1, "a batch of 20 × 41 tokens needs")
    monkeypatch.setattr("gptrace.model.memory.available_bytes", lambda: None)

    def full(*arguments: object) -> None:
        raise RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        )

    monkeypatch.setattr("gptrace.model.gpt.GELU.forward", full)
    short = "not enough memory for a batch of 1 × 1 tokens"
    cli("run", "a", "-m", "tiny").is_error(1, short, shows="raised in trf_blocks.0.ff.layers.1")
    cli("topk", "a", "-m", "tiny").is_error(1, short)


def test_colour_follows_no_color_then_force_color_then_the_terminal(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b[" not in cli("tokens", "a").out
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert "\x1b[" not in cli("tokens", "a").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in cli("tokens", "a").out
    assert "\x1b[" in cli("nothing").err
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in cli("tokens", "a").out + cli("nothing").err


def test_a_file_that_cannot_be_finished_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="No space left"):
        streams.write_file(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with tempfile.NamedTemporaryFile(dir="/dev/shm", suffix=".json") as shared:  # a folder like any other
        Path(shared.name).write_text("old")
        with pytest.raises(OutputError, match="No space left"):
            streams.write_file(Path(shared.name), "new")
        assert Path(shared.name).read_text() == "old"
