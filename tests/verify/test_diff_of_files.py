"""Traces in files: what `gptrace diff` and `gptrace run --expect` read, refuse and print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gptrace.errors import InputError
from gptrace.model.quiet_torch import torch
from gptrace.record.reading import parse
from gptrace.record.schema import json_schema
from tests.support import Cli
from tests.verify.small_traces import layers, trace_of


def test_expected_operations_are_measured(cli: Cli, tmp_path: Path) -> None:
    kept = str(tmp_path / "kept.json")
    assert cli("run", "a", "-m", "tiny", "--ops", "-o", kept).code == 0
    outcome = cli("run", "a", "-m", "tiny", "--expect", kept)
    assert (outcome.code, "operations: the same" in outcome.out) == (0, True)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "5", '{"schema": "gptrace.nothing/1"}', '{"schema": "gptrace.trace/1"}',
             '{"schema": "gptrace.trace/1", "calls": [{}]}', "[" * 100_000],
)  # fmt: skip
def test_what_is_no_trace(text: str) -> None:
    with pytest.raises(InputError, match="the file"):
        parse(text, "the file")


def test_on_the_command_line(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, more in (("a", []), ("b", []), ("c", ["--seed", "7"]), ("d", ["--set", "n_layers=3"])):
        columns = "" if name == "d" else "mean,std"
        asked = ["--columns", columns] if columns else []
        assert cli("run", "Hello", "-m", "tiny", *more, *asked, "-o", f"{name}.json").code == 0
    assert cli("diff", "a.json", "b.json").code == 0
    other = cli("diff", "a.json", "c.json")
    assert other.code == 1
    assert "values: tok_emb is the first of 39 calls that differs" in other.out
    assert other.err == ""
    longer = cli("diff", "a.json", "d.json", "--json")
    assert longer.code == 1
    report = json.loads(longer.out)
    jsonschema.validate(report, json_schema("diff"))
    assert report["added"][0]["path"] == "trf_blocks.2"
    assert cli("diff", "a.json", "d.json", "-f", "csv").out.startswith("kind,path,call,type,what,a,b\n")
    monkeypatch.setattr("gptrace.cli.saved.read_stdin", lambda: (tmp_path / "a.json").read_text())
    assert cli("diff", "-", "b.json").code == 0
    cli("diff", "-", "-").is_error(2, "given twice")
    cli("diff", "a.json", "absent.json").is_error(2, "absent.json: No such file")
    cli("diff", "a.json", ".").is_error(2, ". is a folder")
    cli("diff", "a.json", "b.json", "--rtol", "x").is_error(2, "--rtol x is not a number")
    cli("diff", "a.json").is_error(2, "missing argument")
    assert cli("run", "Hello", "-m", "tiny", "--expect", "a.json").code == 0
    chinese = cli("run", "Hello", "-m", "tiny", "--expect", "a.json", "--lang", "zh").out
    assert "B  这次运行：tiny" in chinese
    parted = cli("run", "Hello", "-m", "tiny", "--seed", "7", "--expect", "a.json")
    assert (parted.code, "tok_emb is the first" in parted.out) == (1, True)
    prompts = cli("run", "Bye", "-m", "tiny", "--expect", "a.json")
    assert "have different prompts" in prompts.out
    cli("run", "Hello", "--expect", "absent.json").is_error(2, "absent.json")


def test_untrusted_traces_send_nothing_to_the_terminal(cli: Cli, tmp_path: Path) -> None:
    a = trace_of(layers(3, 2), torch.ones(1, 3))
    b = a.to_dict()
    b["calls"][1] |= {"path": "\x1b[31mred\u202e", "type": "[/]bold"}
    b["model"]["name"] = "\x1b]0;title\x07"
    for name, trace in (("a", a.to_dict()), ("b", b)):
        (tmp_path / name).write_text(json.dumps(trace))
    for form in ("table", "markdown", "csv"):
        outcome = cli("diff", str(tmp_path / "a"), str(tmp_path / "b"), "-f", form)
        assert outcome.code == 1
        assert not {"\x1b", "\u202e", "\x07"} & set(outcome.out)


@pytest.mark.parametrize(
    "damage",
    [
        {"model": 5}, {"model": {"weights": 5}}, {"inputs": 5}, {"inputs": [None]},
        {"calls": {"path": []}}, {"calls": {"call": []}}, {"calls": {"inputs": None}},
        {"calls": {"outputs": 5}}, {"calls": {"outputs": [{}]}}, {"calls": {"parameters": {}}},
        {"calls": {"macs": "many"}}, {"calls": {"parameters": {"total": None}}}, {"calls": {"path": "0"}},
        {"calls": {"outputs": [{"name": "output", "shape": [1], "dtype": "a", "device": "b",
                                "statistics": {"mean": "x"}}]}},
    ],
)  # fmt: skip
def test_a_damaged_trace_is_one_error(cli: Cli, tmp_path: Path, damage: dict[str, Any]) -> None:
    whole = trace_of(layers(3, 2), torch.ones(1, 3), "all")
    spoiled = whole.to_dict()
    for key, value in damage.items():
        if key == "calls":
            spoiled["calls"][0] |= value
            spoiled["calls"][1] |= {"path": "0", "call": 1} if "path" in value else {}
        else:
            spoiled[key] = value
    for name, trace in (("a", whole.to_dict()), ("b", spoiled)):
        (tmp_path / name).write_text(json.dumps(trace))
    cli("diff", str(tmp_path / "a"), str(tmp_path / "b")).is_error(2, "is damaged")
    cli("diff", str(tmp_path / "b"), str(tmp_path / "a")).is_error(2, "is damaged")


def test_parents_that_go_round_are_damage() -> None:
    trace = trace_of(layers(3, 4, 2), torch.ones(1, 3), "statistics").to_dict()
    for number, call in enumerate(trace["calls"]):
        call["parent"] = number
    with pytest.raises(InputError, match="is damaged: call 0 has the index 0 and the parent 0"):
        parse(json.dumps(trace))


def test_what_is_compared_with_is_not_replaced(cli: Cli, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    assert cli("run", "a", "-m", "tiny", "-o", str(kept)).code == 0
    before = kept.read_bytes()
    cli("run", "a", "-m", "tiny", "--expect", str(kept), "-o", str(kept)).is_error(
        2, "would replace the trace"
    )
    assert kept.read_bytes() == before
