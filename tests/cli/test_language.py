"""`--lang`, GPTRACE_LANG and the locale decide on the language of every command."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

import gptrace
from gptrace.cli.app import COMMANDS
from gptrace.cli.main import main
from tests.support import Cli

CHINESE_ERROR = ["错误：文字是空的", '提示：请把文字写成参数，例如 "Hello"']


def error_lines(cli: Cli, *arguments: str) -> list[str]:
    return cli(*arguments).err.splitlines()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_a_language(cli: Cli, command: str) -> None:
    assert "--lang en|zh" in cli(command, "--help").out
    needed = {"diff": ["a", "b"], "show": ["a"], "pull": ["tiny"]}.get(command, [])
    cli(command, *needed, "--lang", "fr").is_error(2, "the language is 'fr'", "pick one of en, zh")


def test_an_option_beats_the_variable_and_the_variable_the_locale(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    english = ["error: the text is empty", 'hint: give text as an argument, as in "Hello"']
    assert error_lines(cli, "tokens", "") == english
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert error_lines(cli, "tokens", "") == CHINESE_ERROR
    assert error_lines(cli, "tokens", "", "--lang", "en") == english
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")  # it beats LANG
    assert error_lines(cli, "tokens", "") == english
    monkeypatch.setenv("GPTRACE_LANG", "zh")
    assert error_lines(cli, "tokens", "") == CHINESE_ERROR
    assert error_lines(cli, "tokens", "", "--lang=en") == english
    monkeypatch.setenv("GPTRACE_LANG", "fr")
    cli("tokens", "Hi").is_error(
        2, "'fr'", "pick one of en, zh; the value comes from the variable GPTRACE_LANG"
    )


@pytest.mark.parametrize(
    "arguments",
    [["--lang", "zh", "tokens", ""], ["tokens", "--lang", "zh", ""], ["tokens", "", "--lang=zh"],
     ["--lang=en", "tokens", "--lang", "zh", ""]],
)  # fmt: skip
def test_a_language_may_stand_anywhere(cli: Cli, arguments: list[str]) -> None:
    assert error_lines(cli, *arguments) == CHINESE_ERROR


@pytest.mark.parametrize("language", ["en", "zh"])
def test_colours_change_no_character_of_an_error(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    plain = cli("tokens", "Hi", "--seed", "x", "--lang", language).err
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = cli("tokens", "Hi", "--seed", "x", "--lang", language).err
    assert coloured != plain
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain


def test_what_stands_after_two_dashes_is_text(cli: Cli) -> None:
    assert cli("tokens", "--", "--lang", "zh").out.startswith('2 tokens of "--lang"')


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["topk", "--nonsense", "x"], "错误：没有选项 --nonsense"),
        (["tokenz", "x"], "错误：没有命令 'tokenz'"),
        (["show"], "错误：缺少参数 'FILE'"),
        (["topk", "x", "--k"], "错误：选项 '--k' 后面要有一个值"),
        (["topk", "x", "--k", "many"], "错误：--k many 不是整数"),
        (["models", "x"], "错误：多了参数（x）"),
        (["topk", "x", "--threads", "0"], "错误：--threads 0 不是不小于 1 的整数"),
    ],
)
def test_errors_of_the_command_line_itself(cli: Cli, arguments: list[str], problem: str) -> None:
    lines = error_lines(cli, *arguments, "--lang=zh") if arguments[-1] != "--k" else error_lines(
        cli, "--lang=zh", *arguments
    )  # fmt: skip
    assert lines[0].startswith(problem), lines
    assert lines[1].startswith("提示：")


def test_a_kept_english_report_is_shown_in_chinese(cli: Cli, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    assert cli("topk", "", "Hello", "-m", "tiny", "-o", str(kept), "--lang", "zh").code == 2
    assert cli("run", "Hello", "-m", "tiny", "--columns", "macs", "-o", str(kept), "--lang", "zh").code == 0
    assert "模块" not in kept.read_text()
    shown = cli("show", str(kept), "--lang", "zh")
    assert shown.err == ""
    assert "个模块的" in shown.out


@pytest.mark.parametrize("encoding", ["ascii", "big5", "shift_jis"])
def test_a_stream_without_chinese_characters_gets_english(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, err = io.BytesIO(), io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding=encoding))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(err, encoding="utf-8"))
    assert main(["tokens", "Hello", "--lang", "zh"]) == 0
    sys.stdout.flush()
    assert out.getvalue().startswith(b'1 token of "Hello"')
    assert err.getvalue().decode() == f"注意：输出改用英文：它的编码 {encoding} 缺少简体中文字符\n"
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(err, encoding="latin-1"))
    assert main(["tokens", "", "--lang", "zh"]) == 2
    sys.stderr.flush()
    assert err.getvalue().endswith(b'as in "Hello"\n')


def test_records_in_python(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    tokens = gptrace.tokens("Hi")
    tokens.show(lang="zh")
    assert capsys.readouterr().out.startswith('"Hi" 的 1 个 token\n')
    assert str(tokens).startswith('1 token of "Hi"')
    with pytest.raises(gptrace.GptraceError, match="pick one of en, zh"):
        tokens.show(lang="fr")
    with pytest.raises(gptrace.GptraceError, match="the text is empty"):
        gptrace.tokens("")
    monkeypatch.setenv("GPTRACE_LANG", "zh")
    assert str(tokens).startswith('"Hi" 的 1 个 token')
    assert "位置" in tokens._repr_html_()
    with pytest.raises(gptrace.GptraceError, match="the text is empty"):  # exceptions are English everywhere
        gptrace.tokens("")
