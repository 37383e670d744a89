"""The HTML of each report is a document that anybody can read: its structure, its policy, its text."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

import gptrace
from gptrace.report import View, outputs, render
from gptrace.report.html import to_html, to_page
from gptrace.report.parts import Lines, line
from gptrace.report.stylesheet import style_of_element
from tests.report.html_tree import Element, read_html
from tests.report.reports import HOSTILE, KINDS, every_report
from tests.support import Cli


@pytest.fixture(scope="module")
def documents() -> dict[str, Element]:
    pages = {kind: render(report, "html") for kind, report in every_report().items() if kind != "run"}
    # A trace has a page of its own kind; in a notebook it is made of the parts of a report.
    parts = outputs.parts(every_report()["run"], View(lang="en"))
    return {kind: read_html(page) for kind, page in {**pages, "run": to_page(parts, "gptrace run")}.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_is_a_document_with_a_language_a_title_and_one_heading_above_all(
    kind: str, documents: dict[str, Element]
) -> None:
    document = documents[kind]
    assert document.one("html").attributes["lang"] == "en"
    assert document.one("title").text == document.one("h1").text
    assert document.one("title").text.startswith(f"gptrace {kind}")
    assert document.one("main").one("h1")
    assert {each.attributes.get("name") for each in document.all("meta")} > {"viewport", "color-scheme"}
    assert not list(document.all("h3", "h4", "h5", "h6"))
    assert all(heading.text.strip() for heading in document.all("h1", "h2"))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_runs_and_nothing_is_loaded(kind: str, documents: dict[str, Element]) -> None:
    document = documents[kind]
    assert not list(document.all("script", "iframe", "object", "link", "img", "a", "form"))
    names = {name for each in document.all() for name in each.attributes}
    assert not {name for name in names if name.startswith("on") or name in ("style", "src", "href")}
    policy = next(
        each.attributes["content"]
        for each in document.all("meta")
        if each.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    digest = b64encode(sha256(document.one("style").text.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert "url(" not in document.one("style").text
    assert "@import" not in document.one("style").text


@pytest.mark.parametrize("kind", KINDS)
def test_tables_have_captions_and_heads_of_columns_and_rows(kind: str, documents: dict[str, Element]) -> None:
    for table in documents[kind].all("table"):
        assert table.one("caption").text
        head, body = table.one("thead"), table.one("tbody")
        assert all(cell.attributes["scope"] == "col" and cell.text for cell in head.all("th"))
        width = len(list(head.all("th", "td")))
        for row in body.all("tr"):
            assert len(list(row.all("th", "td"))) == width
            heads = list(row.all("th"))
            assert [cell.attributes["scope"] for cell in heads] == ["row"] * len(heads)
            assert len(heads) == 1 or "listing" in table.attributes["class"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_scrolls_can_be_reached_and_has_a_name(kind: str, documents: dict[str, Element]) -> None:
    regions = documents[kind].classed("scroll")
    assert {each.attributes["tabindex"] for each in regions} <= {"0"}
    assert all(each.attributes["aria-label"] for each in regions)
    inside = sum(len(list(each.all("table", "pre"))) for each in regions)
    assert inside == len(list(documents[kind].all("table", "pre"))) > 0 or kind == "explain"


@pytest.mark.parametrize("kind", KINDS)
def test_text_that_looks_like_markup_is_text(kind: str, documents: dict[str, Element]) -> None:
    text = documents[kind].text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert not list(documents[kind].all("b"))
    if kind in ("topk", "explain"):
        assert "<b>" in text
        assert "\\u202e" in text


def test_the_lens_is_a_grid_whose_cells_say_their_rank_and_whose_legend_shows_the_tints(
    documents: dict[str, Element],
) -> None:
    (grid,) = documents["lens"].classed("grid")
    cells = list(grid.one("tbody").all("td"))
    report = every_report()["lens"]
    assert isinstance(report, gptrace.Lens)
    ranks = [cell.rank_of_prediction for layer in report.results[0].layers for cell in layer.cells]
    assert [int(cell.classed("detail")[0].text.removeprefix("rank ").replace(",", "")) for cell in cells] == (
        ranks
    )
    tinted = ["rank-1" in cell.attributes["class"].split() for cell in cells]
    assert tinted == [rank == 1 for rank in ranks]
    (legend,) = documents["lens"].classed("legend")
    tints = [each.attributes["class"] for each in legend.classed("tint")]
    assert tints == ["tint rank-1", "tint rank-10", "tint rank-100", "tint quiet"]


def test_the_loss_tints_the_whole_text_and_says_the_figures_of_each_piece(
    documents: dict[str, Element],
) -> None:
    first, second = documents["loss"].classed("tinted")
    assert first.text == "Hello, 你好"
    assert second.text == HOSTILE.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    pieces = list(first.all("span"))
    assert "title" not in pieces[0].attributes  # nothing is predicted before the first token
    assert re.fullmatch(r"[\d.e-]+ %, rank [\d,]+", pieces[1].attributes["title"])
    assert pieces[-1].attributes["title"].count("rank") > 1  # a character of several tokens
    assert len(documents["loss"].classed("legend")) == 2


def test_bars_have_the_length_of_the_probability(documents: dict[str, Element]) -> None:
    report = every_report()["topk"]
    assert isinstance(report, gptrace.TopK)
    candidates = next(iter(report.results)).candidates
    widths = [float(bar.attributes["width"]) for bar in documents["topk"].all("rect")][: len(candidates)]
    largest = candidates[0].probability
    # Four digits are written.
    assert widths == pytest.approx([100 * each.probability / largest for each in candidates], rel=1e-3)


def test_a_continuation_is_marked_and_a_claim_says_whether_it_holds(documents: dict[str, Element]) -> None:
    (passage,) = documents["generate"].classed("passage")
    assert [each.attributes["class"] for each in passage.all("span")] == ["prompt", "continuation"]
    marks = {each.attributes["aria-label"] for each in documents["explain"].one("main").all("span")
             if each.attributes.get("role") == "img"}  # fmt: skip
    assert "holds" in marks
    report = every_report()["explain"]
    assert isinstance(report, gptrace.Explanation)
    assert len(list(documents["explain"].all("li"))) == sum(len(topic.claims) for topic in report.topics)


def test_a_check_that_fails_shows_the_line_and_the_marks_have_names(documents: dict[str, Element]) -> None:
    (finding,) = documents["check"].classed("finding")
    assert finding.one("pre").text == "scores.masked_fill(self.mask[:T, :T], -torch.inf)"
    assert [each.text for each in finding.all("dt")][:2] == ["✗ causal", "✗ padding"]
    names = [each.attributes["aria-label"] for each in documents["check"].one("tbody").all("span")]
    assert names == ["holds", "does not hold", "does not hold", "not judged"]


def test_source_shows_its_lines_with_their_numbers_and_marks_the_wrong_one(
    documents: dict[str, Element],
) -> None:
    (listing,) = documents["source"].classed("listing")
    wrong = listing.classed("wrong")
    assert wrong[0].one("th").text == "21"
    assert "[batch, n_heads, seq_len, seq_len]" in wrong[0].text
    assert "✗ causal" in wrong[1].text
    assert all(row.one("code") for row in listing.one("tbody").all("tr") if list(row.all("th")))


def test_a_document_is_in_the_language_and_the_theme_that_are_asked_for() -> None:
    report = every_report()["check"]
    document = read_html(render(report, "html", View(lang="zh", theme="dark")))
    attributes = document.one("html").attributes
    assert (attributes["lang"], attributes["data-theme"]) == ("zh-CN", "dark")
    assert {each.attributes["aria-label"] for each in document.one("tbody").all("span")} == {
        "成立", "不成立", "无法判断"
    }  # fmt: skip
    assert document.one("main").classed("scroll")[0].attributes["aria-label"] == "检查结果"
    assert "data-theme" not in read_html(render(report, "html")).one("html").attributes


def test_the_title_of_a_long_or_hostile_prompt_is_one_short_line() -> None:
    title = read_html(render(gptrace.tokens(HOSTILE + " x" * 500), "html")).one("title").text
    assert title.startswith('gptrace tokens: a\\x1b[31m<b>\\u202eevil</b> "q" `x` <script>alert(1)</script>')
    assert title.endswith("…")
    assert len(title) < 120
    generation = every_report()["generate"]
    assert read_html(render(generation, "html")).one("title").text.startswith("gptrace generate: a\\x1b")


def test_the_element_of_a_notebook_reaches_nothing_outside_of_it() -> None:
    element = to_html([Lines([line("<b>")])])
    assert read_html(element).one("div").attributes == {"class": "gptrace"}
    assert read_html(to_html([], theme="dark")).one("div").attributes["data-theme"] == "dark"
    assert "script" not in element
    rules = re.sub(r"@media[^{]*\{((?:[^{}]*\{[^{}]*\})*)\}", r"\1", style_of_element())
    selectors = [each for rule in re.findall(r"([^{}]*)\{", rules) for each in rule.split(",")]
    assert len(selectors) > 50
    # Of a selector that ends with the class alone, the element itself is meant.
    assert [each for each in selectors if not re.search(r"\.gptrace( |\[|$)", each)] == []


def test_the_switches_of_jupyter_and_vs_code_count_more_than_the_system() -> None:
    style = style_of_element()
    dark = style.index("(prefers-color-scheme:dark)")
    for switch in ('[data-jp-theme-light="true"]', ".vscode-light", '[data-theme="dark"]', ".vscode-dark"):
        assert style.index(switch) > dark


def test_the_file_of_html_is_the_document(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "tokens.html"
    cli("tokens", "Hi", "--theme", "light", "-o", str(path))
    assert path.read_text("utf-8") == render(gptrace.tokens("Hi"), "html", View(theme="light", lang="en"))
    cli("tokens", "Hi", "--theme", "blue").is_error(2, "the theme is 'blue'", "pick one of light, dark")


def test_a_page_of_nothing_is_a_page() -> None:
    assert read_html(to_page([], "gptrace")).one("h1").text == "gptrace"
