"""The SVG of each report: well-formed, real text in its place, and only what office programs draw."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.cells import cell_len

import gptrace
from gptrace.report import View, outputs, render
from gptrace.report.palette import color_of
from gptrace.report.parts import Lines, line
from gptrace.report.svg import to_svg
from tests.report.reports import KINDS, every_report
from tests.support import Cli

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = re.compile("[█▉▊▋▌▍▎▏─├└│]")
CELL = 8.4  # pixels


def picture_of(kind: str, view: View) -> ElementTree.Element:
    """The picture of a report; that of a trace, which is a diagram elsewhere, is made of its table here."""
    report = every_report()[kind]
    if kind != "run":
        return read(render(report, "svg", view))
    parts = [Lines([line("gptrace run")]), *outputs.parts(report, view)]
    return read(to_svg(parts, "gptrace run", width=view.width))


def read(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def texts(picture: ElementTree.Element) -> list[ElementTree.Element]:
    return list(picture.iter(f"{SVG}text"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_made_of_shapes_and_text_inside_of_its_box(kind: str) -> None:
    picture = picture_of(kind, View(width=120))
    tags = {each.tag.removeprefix(SVG) for each in picture.iter()}
    assert tags <= {"svg", "title", "desc", "g", "rect", "path", "text"}
    names = {name for each in picture.iter() for name in each.attrib}
    assert not {name for name in names if name.startswith("on") or name in ("style", "class", "href")}
    left, top, width, height = map(float, picture.attrib["viewBox"].split())
    assert (left, top) == (0, 0)
    assert picture[0].tag == f"{SVG}title"
    assert (picture[0].text or "").startswith(f"gptrace {kind}")
    for each in texts(picture):
        x, length, y = (float(each.attrib[name]) for name in ("x", "textLength", "y"))
        assert 0 < x < x + length < width
        assert 0 < y < height
    for each in picture.iter(f"{SVG}rect"):
        assert float(each.attrib.get("x", 0)) + float(each.attrib["width"]) <= width


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "loss"])
def test_the_text_of_a_picture_is_that_of_the_terminal(kind: str) -> None:
    report = every_report()[kind]
    picture = picture_of(kind, View(width=100))
    drawn = "".join(each.text or "" for each in texts(picture))
    heading = picture[0].text or ""
    shown = heading + DRAWN.sub("", render(report, "table", View(width=100)))
    if kind == "lens":  # its legend explains the colours
        drawn, shown = (text.partition("trf_blocks.0")[2] for text in (drawn, shown))
    assert "".join(drawn.split()) == "".join(shown.split())


def test_each_run_is_as_long_as_its_columns_where_wide_characters_take_two() -> None:
    picture = read(to_svg([Lines([line('"你  好" ab', "strong"), line("x  y")])], "title"))
    runs = [
        (each.text or "", float(each.attrib["x"]), float(each.attrib["textLength"]))
        for each in texts(picture)
    ]
    assert [text for text, _, _ in runs] == ['"', "你", "好", '" ab', "x", "y"]
    for text, _, length in runs:
        assert length == pytest.approx(cell_len(text) * CELL, abs=0.01)
    starts = [round((x - 20) / CELL, 2) for _, x, _ in runs]
    assert starts == [0, 1, 5, 7, 0, 3]


def test_spaces_inside_of_a_token_stay() -> None:
    (run,) = texts(read(to_svg([Lines([line('"a   b"', "strong")])], "title")))
    assert run.text == '"a   b"'
    assert run.attrib["{http://www.w3.org/XML/1998/namespace}space"] == "preserve"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_picture_is_light_or_dark(theme: str) -> None:
    picture = read(render(every_report()["lens"], "svg", View(theme=theme)))
    ground = next(picture.iter(f"{SVG}rect"))
    assert ground.attrib["fill"] == color_of("paper", theme)
    fills = {each.attrib["fill"] for each in picture.iter(f"{SVG}rect")}
    assert color_of("near-1", theme) in fills
    if theme == "light":
        assert render(every_report()["lens"], "svg", View(theme=theme)) == render(
            every_report()["lens"], "svg"
        )


def test_bars_are_rectangles_and_tints_have_lines_below() -> None:
    topk = read(render(every_report()["topk"], "svg"))
    bars = [each for each in topk.iter(f"{SVG}rect") if each.attrib["fill"] == color_of("pink", "light")]
    assert len(bars) == 6
    # The largest fills 12 columns.
    assert float(bars[0].attrib["width"]) == pytest.approx(12 * CELL)
    loss = render(every_report()["loss"], "svg")
    assert "stroke-dasharray" in loss


def test_the_file_of_svg_is_the_picture(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "tokens.svg"
    cli("tokens", "Hi", "--theme", "dark", "-o", str(path))
    assert path.read_text("utf-8") == render(gptrace.tokens("Hi"), "svg", View(theme="dark", lang="en"))
    assert cli("tokens", "你", "-f", "svg").out.startswith("<svg ")


def test_a_picture_with_all_positions_is_as_wide_as_they_need() -> None:
    text = " a" * 30
    report = gptrace.lens(text, model="tiny", k=1)
    narrow, wide = (read(render(report, "svg", View(full=full))) for full in (False, True))
    assert float(narrow.attrib["width"]) < 1100
    columns = {text for each in texts(wide) if (text := each.text or "").endswith('" a"')}
    assert len(columns) >= 30
