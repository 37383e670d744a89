"""`gptrace show`: what a command printed once is printed again, in any format, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import gptrace
from gptrace.errors import OptionError
from tests.support import Cli, environment


@pytest.mark.parametrize(
    "command",
    [
        ["run", "Hello, I am", "你好", "-m", "tiny", "--columns", "output,macs,mean", "--ops"],
        ["topk", "Hello, 你", "-m", "tiny", "--positions", "all", "--token", " Paris"],
        ["tokens", "Hello, 你"],
        ["explain", "Hello, I am", "-m", "tiny", "--lang", "zh"],
        ["loss", "Hello, I am", "-m", "tiny"],
        ["generate", "Hello, I am", "-m", "tiny", "-n", "2", "--trace"],
        ["lens", "Hello, I am", "-m", "tiny", "--full"],
        ["check", "-m", "tiny", "--only", "causal", "--only", "cache", "--lang", "zh"],
        ["source", "Hello, I am", "-m", "tiny"],
        ["models"],
    ],
)
def test_a_kept_json_shows_what_its_command_showed(cli: Cli, tmp_path: Path, command: list[str]) -> None:
    kept = tmp_path / "kept.json"
    assert cli(*command, "-o", str(kept)).code == 0
    for form in ("table", "csv", "markdown", "html", "jsonl", "json"):
        options = [
            *(["--full"] if "--full" in command else []),
            *(["--lang", "zh"] if "zh" in command else []),
        ]
        again = cli("show", str(kept), "--format", form, *options)
        assert (again.code, again.err) == (0, "")
        if form == "json":
            assert again.out == kept.read_text()
        if form == "table" and command[0] != "run":  # its table has times
            assert again.out == cli(*command).out
    assert gptrace.load(kept).output_name() == {"run": "trace"}.get(command[0], command[0])


def test_a_trace_shows_what_was_measured_or_the_columns_asked_for(cli: Cli, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    assert cli("run", "Hello", "-m", "tiny", "--columns", "macs,mean", "-o", str(kept)).code == 0
    whole = cli("show", str(kept)).out
    assert "MACs" in whole
    assert "Std" in whole
    assert "Peak memory" not in whole
    some = cli("show", str(kept), "--columns", "output,params", "--depth", "1", "--only", "trf_blocks").out
    assert "MACs  " not in some
    assert "trf_blocks" in some
    assert "tok_emb" not in some.partition("Module")[2].partition("\n\n")[0]
    for form in ("table", "csv"):
        cli("show", str(kept), "--columns", "memory,macs", "-f", form).is_error(
            2, "kept.json holds no memory", "measure it: gptrace run --columns memory -o FILE.json"
        )
    assert "Peak memory" in cli("show", str(kept), "--columns", "all").out
    cli("show", str(kept), "--columns", "colour").is_error(2, "'colour' is not a column")
    cli("show", str(kept), "--only", "nothing").is_error(2, "--only nothing matches no call")


def test_what_cannot_be_shown_is_one_error(cli: Cli, tmp_path: Path) -> None:
    cli("show", str(tmp_path / "absent.json")).is_error(2, "absent.json: No such file")
    (tmp_path / "text.json").write_text("no")
    cli("show", str(tmp_path / "text.json")).is_error(2, "text.json is not JSON", "--json")
    (tmp_path / "tokens.json").write_text(gptrace.tokens("a").to_json())
    cli("show", str(tmp_path / "tokens.json"), "--depth", "1").is_error(
        2, "--depth is for a trace, and", "is not one", "leave out --depth"
    )
    cli("show").is_error(2, "missing argument")


def test_stdin_is_shown_without_torch() -> None:
    code = (
        "import sys; from gptrace.cli import main; code = main(['show', '-', '--depth', '0']);"
        "sys.exit(code or bool({'torch', 'tiktoken'} & set(sys.modules)))"
    )
    trace = gptrace.trace("Hello", model="tiny").to_json()
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=trace,
        text=True,
        capture_output=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "38 below --depth" in done.stdout


def test_show_in_python_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    trace = gptrace.trace("Hello", model="tiny", measure=["macs"])
    assert "  MACs" in str(trace)
    trace.show(columns=["output"], depth=1, only="trf_blocks", width=70)
    printed = capsys.readouterr().out
    assert "MACs  " not in printed
    assert max(map(len, printed.splitlines())) <= 70
    gptrace.tokens("Hello").show()
    assert '"Hello"' in capsys.readouterr().out
    with pytest.raises(OptionError, match="'colums' is no way to show a report"):
        trace.show(colums=["output"])
    with pytest.raises(OptionError, match="the trace holds no mean, memory"):
        trace.show(columns=["mean", "macs", "memory"])
    assert json.loads(trace.to_json())["schema"] == "gptrace.trace/1"
