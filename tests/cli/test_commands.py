"""The command line: what it prints, in which format and where, and its options."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from gptrace.cli import app
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
    outcome = cli("run", "Hello", "-m", "tiny", "-k", "3")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0] == "[batch, seq_len] → [batch, seq_len, emb_dim] → [batch, seq_len, vocab_size]"
    assert lines[1].split(" → ") == ["[1, 1]          ", "[1, 1, 48]               ", "[1, 1, 50257]"]
    assert "random, seed 123" in outcome.out
    assert '"Hello" 15496' in outcome.out
    assert 'After "Hello"' in outcome.out
    assert len(lines[-3:]) == 3
    assert lines[-1].split()[0] == "3"


def test_every_format_of_every_command(cli: Cli) -> None:
    texts = ["Hello, I am", "-m", "tiny"]
    for form in ("table", "json", "jsonl", "csv", "markdown"):
        for arguments in (["run", *texts], ["topk", *texts], ["tokens", "Hello"], ["models"]):
            outcome = cli(*arguments, "--format", form)
            assert (outcome.code, outcome.err) == (0, ""), (arguments, form)
            if form == "json":
                assert json.loads(outcome.out)["schema"].startswith("gptrace.")
                short = json.loads(cli(*arguments, "--json").out)
                assert short.keys() == json.loads(outcome.out).keys()
            if form == "jsonl":
                assert all(json.loads(line) for line in outcome.out.splitlines())


def test_options_of_the_model(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "small.toml"
    config.write_text("vocab_size = 100\nemb_dim = 8\nn_heads = 2\n")
    outcome = cli(
        "run", "--ids", "1 2", "--ids", "3", "-m", "tiny", "--config", str(config), "--set", "n_layers=1",
        "--seed", "5", "--dtype", "float64", "--temperature", "0.5", "--json",
    )  # fmt: skip
    trace = json.loads(outcome.out)
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
    report = json.loads(cli("topk", "Hello").out)
    assert (report["model"]["config"]["n_layers"], report["k"]) == (1, 2)
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
        with monkeypatch.context() as patch:
            patch.setenv(f"GPTRACE_{name}", value)
            cli("topk", "Hello").is_error(2, f"comes from the variable GPTRACE_{name}")


@pytest.mark.parametrize("command", ["topk", "loss", "generate", "lens"])
def test_what_only_predicts_is_asked_of_the_trained_model_unless_another_is_selected(
    command: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ("-n", "1") if command == "generate" else ()

    def asked(*arguments: str) -> tuple[str, str]:
        model = json.loads(cli(command, "Hello there", "--json", *more, *arguments).out)["model"]
        return model["name"], model["weights"]["source"]

    assert asked() == ("small", "package")
    assert asked("--dtype", "float64", "--seed", "5") == ("small", "package")
    assert asked("-m", "tiny") == ("tiny", "random")
    changes = ("--set", "emb_dim=8", "--set", "n_heads=2", "--set", "n_layers=1")
    assert asked(*changes) == ("gpt2-small, changed", "random")
    assert asked("--weights", "random", *changes) == ("gpt2-small, changed", "random")
    with monkeypatch.context() as patch:
        patch.setenv("GPTRACE_SET", "emb_dim=8 n_heads=2 n_layers=1")
        assert asked() == ("gpt2-small, changed", "random")
    monkeypatch.setenv("GPTRACE_MODEL", "tiny")
    assert asked() == ("tiny", "random")
    assert asked("-m", "small") == ("small", "package")
    monkeypatch.setenv("GPTRACE_WEIGHTS", "random")
    assert asked() == ("tiny", "random")


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
    outcome = cli("topk", "Hello", *arguments)
    outcome.is_error(2)
    assert outcome.err.count("the variable") == (names is not None)
    assert names is None or outcome.err.endswith(f"; the value comes from the variable GPTRACE_{names}\n")


def test_a_language_and_columns_of_a_variable(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTRACE_LANG", "fr")
    cli("explain", "Hello", "-m", "tiny").is_error(2, "'fr'", "comes from the variable GPTRACE_LANG")
    monkeypatch.delenv("GPTRACE_LANG")
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
        "trace", "topk", "tokens", "explain", "loss", "generate", "lens", "models", "diff", "check",
        "source", "page",
    }  # fmt: skip
    cli("schema", "trac").is_error(2, "'trac'", "did you mean trace")
    cli("schema", "trace", "-o", "s.csv").is_error(2, "--output s.csv: a schema is JSON", "ends in .json")


def test_truncate_keeps_the_end(cli: Cli) -> None:
    outcome = cli("run", "x " * 70, "-m", "tiny", "--truncate", "--json")
    prompt = json.loads(outcome.out)["inputs"][0]
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
