"""How `gptrace check` is asked and how it answers: names, languages, JUnit, texts, assertions of shapes."""

from __future__ import annotations

import string
from pathlib import Path
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

import gptrace
from gptrace.errors import OptionError
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.report import View, render
from gptrace.testing import assert_shapes
from gptrace.verify.check.catalog import ALL_NAMES
from gptrace.verify.check.chinese import CHINESE
from gptrace.verify.check.english import ENGLISH
from tests.models.checked import Growing, Leaking
from tests.models.mistakes import MISTAKES
from tests.support import Cli

nn = torch.nn


def test_names_are_checked_first() -> None:
    with pytest.raises(OptionError, match="'causl'") as error:
        gptrace.check("tiny", only=["causl"])
    assert "did you mean causal" in error.value.hint


def test_both_languages_say_everything_with_the_same_figures() -> None:
    for part in ("invariants", "sentences", "shared", "likely"):
        english, chinese = getattr(ENGLISH, part), getattr(CHINESE, part)
        assert english.keys() == chinese.keys(), part
        for key in english:
            assert fields(english[key]) == fields(chinese[key]), key
    assert tuple(ENGLISH.invariants) == ALL_NAMES


def fields(template: str | tuple[str, str]) -> set[str]:
    text = template if isinstance(template, str) else " ".join(template)
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_reason_that_many_checks_share_is_told_once(language: str) -> None:
    model = GPTModel({"vocab_size": 60, "emb_dim": 16, "n_heads": 2, "n_layers": 1}).eval()
    with torch.no_grad():
        model.out_head.weight.fill_(float("nan"))
    check = gptrace.check(model, lang=language)
    reasons = [one.reason for one in check.checks if one.holds is None]
    shared = max(reasons, key=reasons.count)
    assert reasons.count(shared) > 5
    text = " ".join(render(check, "table", View(lang=language, width=200)).split())
    assert text.count(shared) == 1
    assert all(one.name in text for one in check.checks)


def test_junit_has_a_case_for_each_check(cli: Cli, tmp_path: Path) -> None:
    suite = ElementTree.fromstring(
        render(gptrace.check(Leaking(), only=["causal", "batch", "cache"]), "junit")
    )
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["3", "1", "1"]
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert "whole = x.mean" in (failure.text or "")
    chinese = render(gptrace.check(Leaking(), only=["causal"], lang="zh"), "junit")
    assert chinese.isascii()  # the encoding of stdout may be none that XML expects
    failure = ElementTree.fromstring(chinese).find("testcase/failure")
    assert failure is not None
    assert "改变" in (failure.get("message") or "")
    assert cli("check", "-m", "tiny", "--only", "causal", "-o", str(tmp_path / "c.xml")).code == 0
    assert ElementTree.parse(tmp_path / "c.xml").getroot().get("tests") == "1"
    cli("topk", "Hello", "-m", "tiny", "--format", "junit").is_error(2, "junit")


def test_the_command_line(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = cli("check", "--list")
    assert [line.split()[0] for line in listed.out.splitlines()] == list(ALL_NAMES)
    mistake = MISTAKES["mask_starts_two_above_the_diagonal"]
    path = mistake.write(tmp_path)
    arguments = [
        "check",
        "-m",
        f"{path}:{mistake.model.target}",
        "--config",
        f"{path}:{mistake.model.config}",
    ]
    failed = cli(*arguments, "--only", "causal", "--only", "padding")
    assert failed.code == 1
    assert "diagonal=2" in failed.out
    assert failed.out.count(f"{path.name}:{mistake.guilty_lines[0]} ") == 1  # two checks, one line
    assert "应改为" in cli(*arguments, "--only", "causal", "--lang", "zh").out
    assert cli("check", "--list", "-o", str(tmp_path / "list.txt")).out == ""
    assert (tmp_path / "list.txt").read_text() == listed.out
    cli("check", "--list", "--json").is_error(2, "--list has no format 'json'")
    monkeypatch.setenv("GPTRACE_FORMAT", "json")
    assert cli("check", "--list") == listed
    monkeypatch.delenv("GPTRACE_FORMAT")
    cli("check", "-m", "tiny", "--only", "causl").is_error(2, "'causl'", "causal")
    cli("check", "-m", "tiny", "--device", "meta").is_error(2, "meta")


def test_a_text_is_the_prompt(cli: Cli) -> None:
    """A model that fails on one token alone passes until the text has that token."""
    model = Sometimes()
    assert gptrace.check(model, only=["finite"])
    check = gptrace.check(model, ids=[7, 8, 9, 40, 10], only=["finite", "causal"])
    assert [result.holds for result in check.checks] == [False, None]
    assert not gptrace.check(model, ids=[1] * 30 + [40], only=["finite"])  # far behind the first tokens
    shown = cli("check", "Hello, I am", "-m", "tiny", "--only", "finite", "--only", "batch")
    assert shown.code == 0
    assert "with 4 of its 4 tokens" in " ".join(shown.out.split())
    assert "context_length" in shown.out
    assert "vocab_size" not in shown.out  # it keeps its size, so that the ids of the text fit
    cli("check", "--ids", "1 99999", "-m", "tiny").is_error(2, "99999")
    cli("check", "one", "two", "-m", "tiny").is_error(2, "2 texts")


class Sometimes(nn.Module):
    """The embedding of token 40 is infinite; no random prompt of a check holds this token."""

    def __init__(self) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(2000, 8)
        self.out_head = nn.Linear(8, 2000)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.tok_emb(ids)
        logits: torch.Tensor = self.out_head(torch.where((ids == 40)[..., None], torch.inf, x))
        return logits


def test_shapes_are_asserted_by_name_or_size(tiny: GPTModel) -> None:
    trace = gptrace.trace("Hello, I am", model=tiny)
    assert_shapes(trace, "out_head", "batch seq_len vocab_size")
    assert_shapes(trace, "", "1 4 50257")
    for path, axes, message in (
        ("out_head", "batch seq_len emb_dim", "returned .batch, seq_len, vocab_size."),
        ("out_head", "batch seq_len", "returned"),
        ("head", "batch", "no module at 'head'"),
    ):
        with pytest.raises(AssertionError, match=message):
            assert_shapes(trace, path, axes)


@pytest.mark.parametrize("seed", [-(2**63), 2**64 - 1])
def test_every_seed_can_be_checked_with(seed: int) -> None:
    assert gptrace.check("tiny", only=["causal"], seed=seed)


def test_what_stands_in_a_sentence_is_in_its_language(cli: Cli) -> None:
    class LastAlone(Growing):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return super().forward(ids)[:, -1:] if len(ids) > 1 else super().forward(ids)

    batch = gptrace.check(LastAlone(), only=["batch"], lang="zh").checks[0]
    assert "forward 只返回最后一个位置的 logits" in batch.reason + batch.sentence
    refused = cli("check", "-m", "tiny", "--set", "vocab_size=1", "--lang", "zh")
    assert "无法检查：它只有 1 个 id，而检查至少需要 2 个" in refused.err


def test_a_kept_report_with_hostile_names_is_safe_text() -> None:
    check = gptrace.check("tiny", only=["causal"])
    result = replace(check.checks[0], name="\x1b[31mred\u202e", holds=False)
    for form in ("table", "markdown", "html", "csv"):
        shown = render(replace(check, checks=(result,)), form)
        assert not {"\x1b", "\u202e"} & set(shown)
