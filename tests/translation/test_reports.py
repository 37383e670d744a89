"""Whole reports in Chinese: no English sentence is left, and what programs read is the same."""

from __future__ import annotations

import re
from typing import Any

import pytest

import gptrace
from gptrace.record import Report
from gptrace.report import View, render
from gptrace.verify.diff import diff_traces
from tests.models.spread import spread

# Terms that Chinese texts about models use as they are, and titles that are names.
TERMS = {
    "Bytes", "Dtype", "Logit", "Logits", "MACs", "MiB", "KiB", "NaN", "PATH", "Token", "batch", "block",
    "context", "dtype", "head", "inf", "key", "lens", "logit", "logits", "nat", "prompt", "query", "rank",
    "softmax", "surprisal", "token", "value", "view",
}  # fmt: skip


def reports() -> list[tuple[str, Report]]:
    """A record of each kind, with notes, problems, failures and everything that can be measured."""
    trace = gptrace.trace(["Hello, I am", "Hi"], model="tiny", k=2, measure=["all"], temperature=0.5)
    other = gptrace.trace("Hello", model="tiny", config={"n_layers": 1})
    stream = gptrace.topk_stream(["Hello", "", {"ids": [10**9]}], model="tiny", k=2).whole()
    sampled = gptrace.generate("Hello", model="tiny", max_new_tokens=2, top_k=3, stop="\n", trace=True)
    return [
        ("trace", trace),
        ("diff", diff_traces(trace, other, names=("a.json", "b.json"))),
        ("spread", spread(trace, {"fsdp": 2, "tp": 2}, simulated=False)),
        ("meshes", diff_traces(spread(trace, {"tp": 2}), spread(trace, {"tp": 4}))),
        ("topk", stream),
        ("positions", gptrace.topk("Hi you", model="tiny", positions="all", tokens=[" Paris"])),
        ("generate", sampled),
        ("loss", gptrace.loss(["Hello, I am " * 40, "Hi"], model="tiny")),
        ("lens", gptrace.lens("Hello, I am " * 8, model="tiny")),
        ("tokens", gptrace.tokens("Hi")),
        ("explain", gptrace.explain("Hello, I am", model="tiny", lang="zh", topics=["last-dim"])),
    ]


@pytest.fixture(scope="module")
def every_report() -> list[tuple[str, Report]]:
    return reports()


def names_in(value: Any) -> set[str]:
    """The words of a record that are names and figures: all but those of its sentences."""
    if isinstance(value, dict):
        items = [*value, *(item for key, item in value.items() if key not in ("notes", "message", "hint"))]
        return set().union(*map(names_in, items))
    if isinstance(value, list):
        return set().union(*map(names_in, value))
    return set(re.findall("[A-Za-z]+", value)) if isinstance(value, str) else set()


def english_words(text: str, names: set[str]) -> list[str]:
    """The words of English sentences in a report, without quoted text, code and options."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(r'"[^"\n]*?…|"[^"\n]*"|`[^`\n]*`|-m \w+|--[\w-]+(\s+([A-Z]+|\w+(,\w+)+))?', " ", text)
    words = [word for word in re.findall("[A-Za-z]{3,}", text) if word not in names and word not in TERMS]
    # Times of a slow run are wide, and leave so little room that a long name is folded.
    return [word for word in words if not any(len(name) > 12 and name.startswith(word) for name in names)]


def test_no_english_words_are_left(every_report: list[tuple[str, Report]]) -> None:
    for name, record in every_report:
        names = names_in(record.to_dict())
        for width in (120, None):
            shown = render(record, "table", View(width=width, color=name == "loss", lang="zh"))
            assert (name, english_words(shown, names)) == (name, [])


def test_what_programs_read_is_the_same_in_every_language(every_report: list[tuple[str, Report]]) -> None:
    for _, record in every_report:
        for form in ("json", "jsonl", "csv"):
            assert render(record, form, View(lang="zh")) == render(record, form, View(lang="en"))


def test_markdown_and_html_speak_chinese(every_report: list[tuple[str, Report]]) -> None:
    _, trace = every_report[0]
    page = render(trace, "html", View(lang="zh"))
    assert all(text in page for text in ('<html lang="zh-CN">', "模块", "参数"))
    markdown = render(trace, "markdown", View(lang="zh"))
    assert "| 模块 | 类型 | 输入 → 输出 |" in markdown
    assert '<html lang="en">' in render(trace, "html", View(lang="en"))


def test_columns_that_are_left_out_are_told_in_lines_that_no_punctuation_begins() -> None:
    shown = render(gptrace.presets(), "table", View(width=60, lang="zh"))
    told = shown[shown.index("宽度不够") :].splitlines()
    assert all(line[0] not in "，；。" for line in told)


def test_a_preset_with_other_settings_is_told_in_chinese(every_report: list[tuple[str, Report]]) -> None:
    _, difference = every_report[1]
    shown = render(difference, "table", View(lang="zh"))
    assert "改过的 tiny" in shown
    assert "changed" not in shown
    assert "改过的 tiny（GPTModel）" in render(
        gptrace.topk("Hi", model="tiny", config={"n_layers": 1}), "table", View(lang="zh")
    )
