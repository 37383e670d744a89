"""Pictures from the command line: which commands draw, which options go with them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import gptrace
from gptrace.report import View, render
from tests.support import Cli

RUN = ("run", "Hello, I am", "-m", "tiny")


@pytest.mark.parametrize(
    ("suffix", "form", "start"),
    [(".svg", "svg", "<svg "), (".mmd", "mermaid", "---\n"), (".mermaid", "mermaid", "---\n"),
     (".dot", "dot", "digraph "), (".gv", "dot", "digraph ")],
)  # fmt: skip
def test_run_draws_with_the_operations_that_it_records_itself(
    cli: Cli, tmp_path: Path, suffix: str, form: str, start: str
) -> None:
    file = tmp_path / f"model{suffix}"
    assert cli(*RUN, "-o", str(file)).code == 0
    trace = gptrace.trace("Hello, I am", model="tiny", measure="ops")
    drawn = file.read_text("utf-8")
    assert drawn == render(trace, form, View(lang="en")) == trace.picture(form, lang="en")
    assert drawn.startswith(start)


def test_a_missing_library_is_told_before_the_model_is_loaded(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "quickjs", None)
    outcome = cli("run", "Hello", "-m", "no_such_file.py:GPT", "-o", str(tmp_path / "model.svg"))
    outcome.is_error(2, "quickjs-ng, which is not installed", "pip install quickjs-ng")


def test_show_draws_what_was_kept(cli: Cli, tmp_path: Path) -> None:
    kept = tmp_path / "trace.json"
    assert cli(*RUN, "--ops", "-o", str(kept)).code == 0
    options = ("-f", "svg", "--landscape", "--theme", "dark", "--lang", "zh", "--only", "att")
    assert cli("show", str(kept), *options).out == cli(*RUN, *options).out != ""
    assert cli("show", str(kept), "-f", "dot").out == cli(*RUN, "-f", "dot").out


@pytest.mark.parametrize(
    ("arguments", "problem", "hint"),
    [
        (("topk", "Hi", "-f", "mermaid"), "mermaid is no format of this command", "gptrace run writes it"),
        (("tokens", "Hi", "-f", "junit"), "junit is no format of this command", "gptrace check writes it"),
        ((*RUN, "--landscape"), "--landscape is for svg, and the format is table", "use -o FILE.svg"),
        ((*RUN, "-f", "dot", "--columns", "macs"), "--columns is for tables, and dot is", "leave out"),
        ((*RUN, "-f", "svg", "--only", "attn"), "--only attn matches no call", "did you mean att?"),
        (("tokens", "Hi", "-o", "x.mmd"), "--output x.mmd: its suffix names no format", "use .json"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_an_error_with_a_way_out(
    cli: Cli, arguments: tuple[str, ...], problem: str, hint: str
) -> None:
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert problem in outcome.err
    assert hint in outcome.err


def test_a_kept_report_that_is_no_trace_has_no_picture(cli: Cli, tmp_path: Path) -> None:
    kept = tmp_path / "tokens.json"
    assert cli("tokens", "Hi", "-o", str(kept)).code == 0
    for options, problem in (
        (["-f", "dot"], "dot is no format of this report"),
        (["-f", "svg", "--landscape"], "--landscape is for a trace"),
    ):
        outcome = cli("show", str(kept), *options)
        assert (outcome.code, problem in outcome.err) == (2, True)
    assert cli("show", str(kept), "-f", "svg").out.startswith("<svg ")
