"""Records → text: safe, folded, cut, and the same facts in every format."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import unicodedata
from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

import gptrace
from gptrace.errors import OptionError
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.record import Candidate, Token, TokenizedPrompt, TracedPrompt
from gptrace.record.writing import json_pieces, to_dict, to_json
from gptrace.report import View, outputs, render
from gptrace.report.call_rows import rows_of
from gptrace.report.candidate_tables import candidates_table
from gptrace.report.common_parts import fitting_facts, prompt_title
from gptrace.report.parts import Table
from gptrace.report.safe_text import quoted, token_label, visible
from gptrace.report.table_data import Column, TableData, to_csv
from gptrace.text.gpt2_tokenizer import GPT2

nn = torch.nn


@given(st.text(st.characters()))
def test_no_control_format_or_lone_surrogate_character_gets_through(text: str) -> None:
    for shown in (visible(text), quoted(text)):
        assert not {unicodedata.category(character) for character in shown} & {
            "Cc",
            "Cf",
            "Cs",
            "Co",
            "Cn",
            "Zl",
            "Zp",
        }


@given(st.text(st.characters()))
def test_quoted_text_can_be_read_back(text: str) -> None:
    inside = quoted(text)[1:-1].replace('\\"', '"')
    escaped = visible(text.replace("\\", "\\\\"))
    assert inside == escaped


def test_tokens_as_people_see_them() -> None:
    assert token_label(GPT2.token(314)) == '" I"'
    assert token_label(GPT2.token(19526)) == "<e4 bd>"
    assert token_label(Token(60000, None, None)) == "–"


@pytest.fixture(scope="module")
def deep() -> gptrace.Trace:
    return gptrace.trace("Hello, I am", model="tiny", config={"n_layers": 12})


def test_blocks_that_look_alike_fold_and_the_sums_stay(deep: gptrace.Trace) -> None:
    rows = rows_of(deep)
    folded = [row for row in rows if row.folded]
    assert [row.label for row in folded] == ["1–11"]
    block = next(call for call in deep.calls if call.path == "trf_blocks.0")
    blocks = next(call for call in deep.calls if call.path == "trf_blocks")
    of_folded = sum(call.parameters.total for call in folded[0].calls)
    assert of_folded == 11 * block.parameters.total
    assert of_folded + block.parameters.total == blocks.parameters.total
    assert len(rows) + folded[0].hidden - 1 == deep.totals.calls == 199


def test_full_shows_every_call_and_depth_cuts(deep: gptrace.Trace) -> None:
    assert len(rows_of(deep, View(full=True))) == 199
    assert [row.label for row in rows_of(deep, View(depth=0))] == ["GPTModel"]
    cut = rows_of(deep, View(depth=1))
    assert [row.label for row in cut] == [
        "GPTModel", "tok_emb", "pos_emb", "drop_emb", "trf_blocks", "final_norm", "out_head",
    ]  # fmt: skip
    assert sum(call.parameters.total for row in cut[1:] for call in row.calls) == deep.model.parameters.total
    assert sum(row.hidden for row in cut) + len(cut) == 199
    assert "192 below --depth" in render(deep, "table", View(depth=1))


def test_blocks_that_differ_do_not_fold() -> None:
    model = nn.Sequential(
        nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 5), nn.Linear(5, 5), nn.ReLU(), nn.ReLU()
    )
    with gptrace.watch(model) as trace:
        model(torch.ones(1, 4))
    assert [row.label for row in rows_of(trace)] == ["Sequential", "0", "1", "2", "3", "4", "5"]
    named = nn.ModuleDict({"query": nn.Linear(4, 4), "key": nn.Linear(4, 4)})
    with gptrace.watch(named) as trace:
        named["key"](named["query"](torch.ones(1, 4)))
    assert len(rows_of(trace)) == 2


def test_a_second_call_of_a_module_does_not_count_again() -> None:
    layer = nn.Linear(4, 4)
    with gptrace.watch(layer) as trace:
        layer(layer(torch.ones(1, 4)))
    assert [row.label for row in rows_of(trace)] == ["Linear", "Linear (2)"]
    assert "above" in str(trace).splitlines()[-3]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160, 200, None])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_cut(
    deep: gptrace.Trace, width: int | None
) -> None:
    text = render(deep, "table", View(width=width))
    assert "…" not in text
    assert "4*emb_dim" in text
    assert "[batch, seq_len, emb_dim]" in text or (width or 99) < 60
    if width:
        assert max(map(cell_len, text.splitlines())) <= width
    assert all(line == line.rstrip() for line in text.splitlines())


def test_the_list_of_models_has_plain_words_in_csv() -> None:
    from gptrace.api import presets

    rows = list(csv.DictReader(io.StringIO(render(presets(), "csv"))))
    states = {row["name"]: row["pretrained"] for row in rows}
    assert (states["small"], states["tiny"]) == ("included", "")
    assert states["gpt2-small"] in ("published", "downloaded")


@pytest.mark.parametrize("width", [60, 80, 100, 120, None])
def test_the_list_of_models_never_cuts_a_name_or_a_number(width: int | None) -> None:
    from gptrace.api import presets

    text = render(presets(), "table", View(width=width))
    for model in presets().models:
        assert f"{model.name} " in text
        assert f" {model.parameters.total:,}" in text
    assert max(map(cell_len, text.splitlines())) <= (width or 999)


def test_a_narrow_terminal_loses_the_bar_before_the_token(tiny: GPTModel) -> None:
    topk = gptrace.topk("Hello", model=tiny)
    assert "█" in render(topk, "table", View(width=80))
    narrow = render(topk, "table", View(width=40))
    assert "█" not in narrow
    assert all(token_label(result.token) in narrow for result in topk.results[0].candidates)


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_cut_tree_is_not_cut_at_the_side(deep: gptrace.Trace, depth: int, width: int) -> None:
    text = render(deep, "table", View(width=width, depth=depth))
    assert "…" not in text
    assert f"{deep.model.parameters.total:,}" in text


def test_colour_changes_nothing_but_colour(deep: gptrace.Trace) -> None:
    from rich.text import Text

    plain, coloured = (render(deep, "table", View(width=120, color=color)) for color in (False, True))
    assert "\x1b[" not in plain
    assert "\x1b[1;35m" in coloured
    lines = [line.rstrip() for line in Text.from_ansi(coloured).plain.splitlines()]
    assert lines == plain.splitlines()


def test_hostile_text_stays_in_its_cell() -> None:
    text = "\x1b[31m[/] [bold]x\n\u202e|`a`\r\x07<b>"
    record = gptrace.topk(text, model="tiny", k=3)
    tokens = gptrace.tokens(text)
    for shown in (record, tokens):
        for form in ("table", "json", "jsonl", "csv", "markdown"):
            for view in (View(), View(width=80, color=False)):
                out = render(shown, form, view)
                assert not set(out) & set("\x1b\r\x07\u202e"), form
    assert "[/]" in render(tokens, "table")
    assert len(list(csv.reader(StringIO(render(tokens, "csv"))))) == len(tokens.results[0].tokens) + 1


def test_a_hostile_module_name_stays_in_its_cell() -> None:
    model = nn.Module()
    model.add_module("[/red]\x1b[2J\nx", nn.ReLU())
    with gptrace.watch(model) as trace:
        model.get_submodule("[/red]\x1b[2J\nx")(torch.ones(1))
    for form in ("table", "csv", "markdown", "json"):
        out = render(trace, form, View(color=False))
        assert "\x1b" not in out
    assert r"[/red]\x1b[2J\nx" in str(trace)


def test_json_is_ascii_and_holds_no_nan() -> None:
    text = to_json({"a": [float("nan"), float("inf"), -0.5], "b": "你\ud800"})
    assert text.isascii()
    assert json.loads(text) == {"a": [None, None, -0.5], "b": "你\ud800"}


def test_the_json_of_a_trace_holds_every_call_also_when_the_table_folds(deep: gptrace.Trace) -> None:
    assert len(deep.to_dict()["calls"]) == 199
    assert len(render(deep, "jsonl").splitlines()) == 199
    assert len(render(deep, "csv").splitlines()) == 200
    assert json.loads(deep.to_json()) == deep.to_dict()
    call = deep.to_dict()["calls"][1]
    assert call["inputs"] == [
        {"name": "input", "shape": [1, 4], "dims": ["batch", "seq_len"], "dtype": "int64", "device": "cpu"}
    ]


def test_csv_of_tokens_says_the_bytes() -> None:
    rows = list(csv.DictReader(StringIO(render(gptrace.tokens("a,\n你"), "csv"))))
    assert [row["token"] for row in rows] == ["a", ",", r"\n", "", ""]
    assert bytes.fromhex("".join(row["bytes"] for row in rows)).decode() == "a,\n你"


def test_csv_quotes_what_needs_it() -> None:
    table = TableData([Column("a", None), Column("b", "B")], [('x,"y"', None), (1.5, "z")])
    assert to_csv(table) == 'a,b\n"x,""y""",\n1.5,z\n'


def test_the_bar_compares_candidates_also_when_all_are_impossible() -> None:
    nothing = [Candidate(1, 0, "!", b"!", float("nan"), float("nan"), float("nan"))]
    table = candidates_table(TokenizedPrompt(0, "a", (64,), ()), nothing).data
    assert table.columns[4].show(table.rows[0][4]) == ""


def test_many_prompts_and_long_ones_keep_the_header_short(tiny: GPTModel) -> None:
    many = str(gptrace.trace(["Hello"] * 30, model=tiny))
    assert "22 more prompts" in many
    long = str(gptrace.trace("word " * 60, model=tiny))
    assert "61 tokens:" in long
    assert "49 more" in long


def test_blocks_that_differ_say_where() -> None:
    blocks: Any = [
        torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Sequential(torch.nn.ReLU())) for _ in range(5)
    ]
    blocks[3][1][0] = torch.nn.GELU()
    model = torch.nn.Sequential(*blocks)
    with gptrace.watch(model) as trace:
        model(torch.ones(1, 4))
    labels = [row.label for row in rows_of(trace) if row.call.depth == 1]
    assert labels == ["0", "1–2", "3, unlike 0 at 1.0", "4, unlike 3 at 1.0"]
    assert [row.label for row in rows_of(trace, View(full=True)) if row.call.depth == 1] == [
        "0",
        "1",
        "2",
        "3",
        "4",
    ]


def test_blocks_of_other_costs_do_not_fold() -> None:
    class Block(torch.nn.Module):
        def __init__(self, products: int) -> None:
            super().__init__()
            self.weight, self.products = torch.nn.Parameter(torch.ones(4, 4)), products

        def forward(self, x: Any) -> Any:
            for _ in range(self.products):
                x = x @ self.weight
            return x

    model = torch.nn.Sequential(*map(Block, [1, 1, 1, 2]))
    with gptrace.watch(model, measure="macs") as trace:
        model(torch.ones(1, 4))
    assert [(row.label, sum(call.macs or 0 for call in row.calls)) for row in rows_of(trace)[1:]] == [
        ("0", 16), ("1–2", 32), ("3", 32),
    ]  # fmt: skip


def test_calls_of_one_module_in_a_row_fold() -> None:
    class Loop(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(9):
                x = self.layer(x)
            return x

    loop = Loop()
    with gptrace.watch(loop) as trace:
        loop(torch.ones(1, 4))
    assert [row.label for row in rows_of(trace)] == ["Loop", "layer", "layer (2–9)"]
    assert len(rows_of(trace, View(full=True))) == 10


def test_rows_that_match_keep_what_is_around_them(deep: gptrace.Trace) -> None:
    paths = [row.call.path for row in rows_of(deep, View(only="*.att.W_*", full=True))]
    matching = [path for path in paths if ".att.W_" in path]
    layers = len({path.split(".")[1] for path in matching})
    assert len(matching) == 3 * layers
    assert set(paths) - set(matching) == {"", "trf_blocks"} | {
        around for path in matching for around in (path.rsplit(".", 1)[0], path.rsplit(".", 2)[0])
    }
    linear = [row.call for row in rows_of(deep, View(type="Linear", full=True))]
    assert {call.type for call in linear if not any(other.parent == call.index for other in linear)} == {
        "Linear"
    }
    with pytest.raises(OptionError, match="--only nothing matches no call"):
        rows_of(deep, View(only="nothing"))
    with pytest.raises(OptionError, match="--type nothing matches no call"):
        rows_of(deep, View(type="nothing"))


@pytest.fixture(scope="module")
def thousands() -> gptrace.Trace:
    """The trace of 2500 layers."""
    model = torch.nn.Sequential(*[torch.nn.Linear(n % 7 + 1, (n + 1) % 7 + 1) for n in range(2500)])
    with gptrace.watch(model) as trace:
        model(torch.ones(1, 1))
    return trace


@pytest.mark.parametrize("width", [None, 60, 200])
def test_thousands_of_rows_are_plain_text_and_whole(thousands: gptrace.Trace, width: int | None) -> None:
    lines = render(thousands, "table", View(width=width, full=True)).splitlines()
    assert len([line for line in lines if line.startswith(("├ ", "└ "))]) == 2500
    assert any(line.startswith("Module ") for line in lines)


def test_json_in_pieces_is_the_same_json(deep: gptrace.Trace) -> None:
    whole = to_json(to_dict(deep), indent=2)
    pieces = list(json_pieces(deep))
    assert "".join(pieces) == whole
    assert len(pieces) >= len(deep.calls) + 2
    lines = render(deep, "jsonl").splitlines()
    assert [json.loads(line) for line in lines] == json.loads(whole)["calls"]


def test_no_piece_of_json_holds_more_than_one_prompt(deep: gptrace.Trace) -> None:
    tokens = tuple(Token(number, str(number), b"x") for number in range(100))
    prompt = TracedPrompt("text", tuple(range(100)), tokens, 0, 0)
    trace = replace(deep, inputs=(prompt,) * 30)
    pieces = list(json_pieces(trace))
    assert "".join(pieces) == to_json(to_dict(trace), indent=2)
    assert max(map(len, pieces)) <= len(to_json(to_dict(trace)["inputs"][0], indent=8))


def test_html_is_the_table_and_nothing_of_it_is_markup(deep: gptrace.Trace) -> None:
    spoiled = replace(deep, model=replace(deep.model, name="<script>alert(1)</script>&\x1b[31m"))
    page = spoiled._repr_html_()
    assert page.startswith("<div ")
    assert page.endswith("</div>\n")
    assert "<script" not in page
    assert "\x1b" not in page
    page = re.sub("<(style|caption|h2)>.*?</\\1>", "", page, flags=re.DOTALL)
    plain = html.unescape(re.sub("</t[dh]>|</d[dt]>|<[^>]*>", " ", page))
    table = re.sub("─+|[█▉▊▋▌▍▎▏]|After .*", "", render(spoiled, "table"))
    assert plain.split() == table.split()


def test_an_html_file_is_a_whole_page_with_the_prompt_as_its_title() -> None:
    tokens = gptrace.tokens("Hello")
    page = render(tokens, "html")
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert '<meta charset="utf-8">' in page
    assert "<title>gptrace tokens: Hello</title>" in page
    assert "<title>gptrace tokens: &lt;b&gt;</title>" in render(gptrace.tokens("<b>"), "html")
    assert "<title>gptrace loss: Hello</title>" in render(gptrace.loss("Hello", model="tiny"), "html")
    assert "<title>gptrace topk: a</title>" in render(gptrace.topk(["a", "b"], model="tiny"), "html")
    assert "<title>gptrace explain: Hello</title>" in render(gptrace.explain("Hello", model="tiny"), "html")
    assert "<title>gptrace topk</title>" in render(gptrace.topk_stream(["a"], model="tiny"), "html")


def test_a_long_prompt_is_cut_between_words_and_the_ellipsis_is_no_part_of_it() -> None:
    text = "Every effort moves you forward, and every day holds a lesson."
    shown = render(gptrace.Session("tiny").topk(text, k=1), "table", View(encoding="ascii"))
    assert 'After ..."effort moves you forward, and every day holds a lesson."' in shown
    assert '"\\u2026' not in shown


@pytest.mark.parametrize(
    ("ids", "title"),
    [
        ([5, 6], "ids 5 6"),
        (range(1001, 1013), "ids 1001 1002 1003 1004 1005 1006 1007 1008 1009 1010 1011 1012"),
        (range(1001, 1041), "ids … 1029 1030 1031 1032 1033 1034 1035 1036 1037 1038 1039 1040"),
    ],
)
def test_the_title_of_a_prompt_without_text_is_its_last_ids_whole(ids: Sequence[int], title: str) -> None:
    assert prompt_title(TokenizedPrompt(0, None, tuple(ids), ())) == title


@pytest.mark.parametrize(
    ("lengths", "text"),
    [
        ([(1, 2), (3, 0)], "1 of 2 prompts, on the right, to 3 tokens"),
        ([(1, 2), (3, 0), (4, 1), (200, 0)], "2 of 4 prompts, on the right, to 3–5 tokens"),
    ],
)
def test_padding_is_told_by_the_length_of_each_batch(lengths: list[tuple[int, int]], text: str) -> None:
    ((_, line),) = fitting_facts(
        [TracedPrompt(None, (7,) * count, (), padding, 0) for count, padding in lengths]
    )
    assert line[0][0] == f"{text}; no prediction is read there"


def test_log_probabilities_are_shown_at_every_position() -> None:
    topk = gptrace.topk(ids=[15496, 11], model="tiny", k=1, positions="all")
    shown = render(topk, "table", View(log_probabilities=True))
    found = [each.candidates[0].log_probability for each in topk.results[0].positions or ()]
    assert len(found) == 2
    assert all(f"({each:.4f})" in shown for each in found)


def test_text_after_a_broken_byte_keeps_its_tints() -> None:
    loss = gptrace.loss(ids=[254, 3347, 4721, 160, 3347], model="tiny")
    (table,) = [part for part in outputs.parts(loss, View()) if isinstance(part, Table)]
    broken = "\N{REPLACEMENT CHARACTER}"
    assert [piece.text for piece in table.tinted] == [broken, "She", " opened", f"{broken}She"]


def test_in_html_aligned_shapes_keep_their_columns_and_code_is_code() -> None:
    session = gptrace.Session("tiny")
    page = session.trace("Hello, I am")._repr_html_()
    assert re.search(r"<pre><span[^>]*>\[batch, seq_len\] → ", page)
    assert "<dd>tiny (GPTModel)" in page
    claims = render(session.explain("Hello, I am", topics=["flow"]), "html")
    assert "`" not in claims  # code is marked up in figures too


def test_markdown_shows_next_tokens_as_the_table_does_and_code_as_code() -> None:
    session = gptrace.Session("tiny")
    for report in (session.lens("Hello", k=2), session.topk("Hello", k=2, positions="all")):
        shown = render(report, "markdown")
        assert "Candidate(" not in shown
        assert '| `"57" 0.01403 %  " choir" 0.01353 %` |' in shown
    shown = render(session.explain("a `b` c", topics=["flow"]), "markdown")
    assert "input of `trf_blocks.0` differs" in shown
    assert '" \\`"' in shown  # a backquote of the text is no markup


def test_one_thing_is_no_plural() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    with gptrace.watch(model) as trace:
        model(torch.ones(1, 1))
    shown = str(trace)
    assert "1 call of 1 module in " in shown
    assert ", 1 parameter, " in shown
    assert "1 个模块的 1 次调用，用时 " in render(trace, "table", View(lang="zh"))
