"""Lines of a given width: shapes, tokens and numbers with their unit stay whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import pytest
from rich.containers import Lines
from rich.text import Text

import gptrace
from gptrace.report import View, line_breaking, render, rich_tables
from gptrace.report.line_breaking import break_lines, broken


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("in [1, 4, 768] and on", 13, ["in", "[1, 4, 768]", "and on"]),
        ("[1, 4] → [1, 4, 768]", 18, ["[1, 4]", "→ [1, 4, 768]"]),
        ('" admission" 0.01593 %', 19, ['" admission"', "0.01593 %"]),
        ("it takes 18.6 MiB", 14, ["it takes", "18.6 MiB"]),
        ("use --weights PATH now", 14, ["use", "--weights PATH", "now"]),
        ("rows ([1, 4]), then", 12, ["rows", "([1, 4]),", "then"]),
        ("[batch, seq_len]", 10, ["[batch,", "seq_len]"]),
        ("trf_blocks.1.att.W_key", 17, ["trf_blocks.1.att.", "W_key"]),
        ("[batch, seq_len, emb_dim]", 21, ["[batch, seq_len,", "emb_dim]"]),
        ("batch 1 · seq_len 4 · emb_dim 48", 11, ["batch 1 ·", "seq_len 4 ·", "emb_dim 48"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("  two\nlines", 80, ["  two", "lines"]),
        ("", 5, [""]),
    ],
)
def test_units_are_split_only_where_they_are_wider_than_a_line(
    text: str, width: int, lines: list[str]
) -> None:
    assert break_lines(text, width) == lines


def test_every_character_but_the_spaces_around_lines_is_kept() -> None:
    text = 'a [1, 2] → [3], "x y" 1.5 % 你好，世界。 path/to/file_name.py --set KEY x[0](1)'
    for width in range(1, 70):
        assert re.sub(r"\s", "", "".join(break_lines(text, width))) == re.sub(r"\s", "", text)


def test_styles_survive_a_line_break() -> None:
    text = broken(Text.assemble(("bold one", "bold"), " ", ("dim two", "dim")), 8)
    assert text.plain == "bold one\ndim two"
    assert [(text.plain[span.start : span.end], span.style) for span in text.spans] == [
        ("bold one", "bold"),
        ("dim two", "dim"),
    ]


@pytest.fixture(scope="module")
def all_columns() -> gptrace.Trace:
    return gptrace.trace("Hello, I am", model="tiny", measure=["macs", "memory"])


@pytest.mark.parametrize("width", [50, 60, 80])
def test_no_line_of_a_narrow_tree_leaves_the_drawing_of_the_tree(
    all_columns: gptrace.Trace, width: int
) -> None:
    lines = render(all_columns, "table", View(width=width)).splitlines()
    first = next(i for i, text in enumerate(lines) if text.startswith("├ tok_emb"))
    last = next(i for i, text in enumerate(lines) if text.startswith("└ out_head"))
    assert all(text.startswith(("├ ", "│ ", "└ ")) for text in lines[first : last + 1])


def test_a_flow_that_is_too_wide_has_a_line_for_each_step(all_columns: gptrace.Trace) -> None:
    assert render(all_columns, "table", View(width=60)).splitlines()[:4] == [
        "[batch, seq_len]                [1, 4]",
        "→ [batch, seq_len, emb_dim]     [1, 4, 48]",
        "→ [batch, seq_len, vocab_size]  [1, 4, 50257]",
        "",
    ]


@pytest.mark.parametrize("width", [40, 60, 70, 80, 100])
def test_probabilities_keep_their_percent_sign(width: int) -> None:
    session = gptrace.Session("tiny")
    for report in (session.topk("Hello, I am", positions="all"), session.lens("Hello, I am")):
        lines = render(report, "table", View(width=width)).splitlines()
        assert max(map(len, lines)) <= width
        assert not [text for text in lines if re.match(r"\s*%", text)]


def noting(measured: list[str]) -> Callable[[str], int]:
    """Return a measure of texts that adds what it measures to a list."""

    def columns(text: str) -> int:
        measured.append(text)
        return len(text)

    return columns


def test_each_unit_of_a_long_line_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []
    monkeypatch.setattr(rich_tables, "_width", noting(measured))
    units = [f'"{number}" 1 %' for number in range(1000)]
    assert rich_tables._filled(units, 100_000) == "  ".join(units)
    assert sum(map(len, measured)) == sum(map(len, units))


def test_a_word_of_many_lines_is_measured_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []
    monkeypatch.setattr(line_breaking, "cell_len", noting(measured))
    word = "x" * 10_000
    assert "".join(break_lines(word, 1000)) == word
    # Whole, before each way to split it; then each character, as what it is and with the spaces after it.
    assert sum(map(len, measured)) <= 5 * len(word)


def test_a_text_with_thousands_of_styles_is_cut_once(monkeypatch: pytest.MonkeyPatch) -> None:
    text = Text.assemble(*((" word", ("bold", "red")[number % 2]) for number in range(1000)))
    cuts: list[int] = []
    divide = Text.divide

    def counted(self: Text, offsets: Iterable[int]) -> Lines:
        cuts.append(len(self.spans))
        return divide(self, offsets)

    monkeypatch.setattr(Text, "divide", counted)
    lines = broken(text, 40)
    assert cuts == [1000]  # each cut looks at every style
    assert lines.plain.split() == ["word"] * 1000
    assert {str(span.style) for span in lines.spans} == {"bold", "red"}
