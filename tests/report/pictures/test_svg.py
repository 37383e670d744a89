"""The SVG of a trace: plain, well-formed, the same each time, and it shows every edge of the open boxes."""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack
from itertools import pairwise, product
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

import gptrace
from gptrace.errors import OptionError
from gptrace.model.quiet_torch import torch
from gptrace.record import Trace
from gptrace.report import View, render
from gptrace.report.pictures.layout import Layout
from gptrace.report.pictures.scene import scene_of
from tests.graph.recording import Recording

nn = torch.nn
SVG = "{http://www.w3.org/2000/svg}"
XML = "{http://www.w3.org/XML/1998/namespace}"


@pytest.fixture(scope="module")
def trace() -> Trace:
    return gptrace.trace("Hello, I am", model="tiny", measure="ops")


def elements(svg: str) -> dict[str, list[ElementTree.Element]]:
    found: dict[str, list[ElementTree.Element]] = {}
    for element in ElementTree.fromstring(svg).iter():
        found.setdefault(element.tag.removeprefix(SVG), []).append(element)
    return found


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in elements(svg)["text"]]


@pytest.mark.parametrize(("theme", "landscape"), [*product(["light", "dark"], [False, True])])
def test_an_svg_is_plain_and_the_same_each_time(trace: Trace, theme: str, landscape: bool) -> None:
    view = View(theme=theme, landscape=landscape, lang="en")
    svg = render(trace, "svg", view)
    assert svg == render(trace, "svg", view)
    found = elements(svg)
    # What PowerPoint and Inkscape draw as browsers do; no script, style, link or foreign element.
    assert set(found) == {"svg", "title", "desc", "rect", "g", "text", "tspan", "path", "circle"}
    names = {name for each in found.values() for element in each for name in element.attrib}
    assert not {name for name in names if name.startswith("on") or name in ("style", "class", "href")}
    assert "var(" not in svg
    [root] = found["svg"]
    width, height = int(root.attrib["width"]), int(root.attrib["height"])
    assert root.attrib["viewBox"] == f"0 0 {width} {height}"
    assert not landscape or (width, height) == (1600, 900)
    assert [element.text for element in found["title"]] == ["tiny (GPTModel)"]
    assert "[1, 4] → [1, 4, 48] → [1, 4, 50257]" in str(found["desc"][0].text)


def test_a_picture_says_where_the_last_axis_comes_from(trace: Trace) -> None:
    shown = texts(render(trace, "svg"))
    for text in ("tok_emb", "pos_emb", "0–1", "× 2", "TransformerBlock", "final_norm", "out_head", "50257"):
        assert text in shown
    assert "Each position has 50,257 logits" in " ".join(shown)
    assert shown.count("vocab_size") == 1


def test_a_chinese_reader_gets_chinese_sentences(trace: Trace) -> None:
    svg = render(trace, "svg", View(lang="zh"))
    assert elements(svg)["svg"][0].attrib[f"{XML}lang"] == "zh-CN"
    assert any("词表" in text for text in texts(svg))


def test_every_edge_of_the_open_boxes_is_drawn_once(trace: Trace) -> None:
    scene = scene_of(trace, View(depth=9))
    drawn = [line.edge for line in Layout().drawing(scene, "down").edges]
    shown = [
        number for number, edge in enumerate(scene.graph.edges) if edge.box is None or edge.box in scene.open
    ]
    assert sorted(drawn) == shown


def test_slides_show_equal_blocks_beside_the_rest(trace: Trace) -> None:
    shown = texts(render(trace, "svg", View(landscape=True)))
    assert [shown.count(text) for text in ("trf_blocks", "0–1", "att", "× 2")] == [1, 1, 1, 2]


def test_one_module_and_its_operations(trace: Trace) -> None:
    shown = texts(render(trace, "svg", View(only="trf_blocks.1.att")))
    assert shown[0] == "tiny: trf_blocks.1.att (MultiHeadAttention)"
    assert {"W_query", "softmax", "out_proj"} <= {*shown}
    assert "final_norm" not in shown


@pytest.mark.parametrize("view", [View(columns=("macs",)), View(type="Linear")])
@pytest.mark.parametrize("form", ["svg", "mermaid", "dot"])
def test_wishes_for_tables_are_none_for_pictures(trace: Trace, form: str, view: View) -> None:
    with pytest.raises(OptionError, match=f"is for tables, and {form} is a picture"):
        render(trace, form, view)


def test_a_trace_without_operations_is_nested_boxes_and_says_so() -> None:
    shown = texts(render(gptrace.trace("Hi", model="tiny"), "svg"))
    assert {"tok_emb", "norm1", "out_head"} <= {*shown}
    assert "no operations" in " ".join(shown)


def test_a_failure_is_red() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(5, 4))
    with pytest.raises(RuntimeError), gptrace.watch(model, measure="ops") as failed:
        model(torch.ones(1, 4))
    svg = render(failed, "svg")
    red = [element for element in elements(svg)["rect"] if element.get("stroke") == "#b3261e"]
    assert len(red) == 3  # the operation, the layer and the model around it
    assert "raised in 1: RuntimeError" in " ".join(texts(svg))
    assert "likely: 1: Linear expects [..., 5], got [1, 4]" in " ".join(texts(svg))


HOSTILE = '"><script>alert(1)</script>\x1b[31m\x00\u202e\ud800&amp;#x3c;]]>'


@pytest.mark.parametrize("name", ["svg", "mermaid", "dot"])
def test_hostile_names_stay_text(trace: Trace, name: str) -> None:
    calls = tuple(
        replace(call, path=call.path.replace("tok_emb", HOSTILE), type=HOSTILE) for call in trace.calls
    )
    hostile = replace(trace, calls=calls, model=replace(trace.model, name=HOSTILE, class_name=HOSTILE))
    picture = render(hostile, name)
    picture.encode("utf-8")
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", picture)
    if name == "svg":
        assert "script" not in elements(picture)
    else:
        assert ("<script" in picture) == (name == "dot")  # in DOT it is a string of a label


def test_without_quickjs_an_svg_says_how_to_install_it(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "quickjs", None)
    with pytest.raises(OptionError, match="needs quickjs-ng, which is not installed") as caught:
        render(trace, "svg")
    assert caught.value.hint == "pip install quickjs-ng"
    assert render(trace, "mermaid").startswith("---")


def test_boxes_nested_deep_are_closed() -> None:
    recording = Recording()
    with ExitStack() as stack:
        calls = [
            stack.enter_context(recording.call(f"a{depth}", recording.argument("x"))) for depth in range(300)
        ]
        made = recording.op("relu", recording.op("neg", recording.argument("x")))
        for call in calls:
            call.outputs = [made]
    shown = texts(render(recording.trace(), "svg", View(depth=999)))
    assert [f"a{depth}" in shown for depth in (49, 50, 51)] == [True, True, False]
    assert "250 deeper boxes are closed" in " ".join(shown)


def test_a_box_with_many_long_edges_is_one_column_in_order_of_execution() -> None:
    # Each of 50 steps takes a slice of the same tensor. Dagre would need a minute for some hundred of them.
    recording = Recording()
    whole = recording.argument("x")
    with recording.call("", whole) as model:
        state = recording.op("zeros")
        for _ in range(50):
            state = recording.op("gru", recording.op("select", whole), state)
        model.outputs = [state]
    trace = recording.trace()
    scene = scene_of(trace, View(depth=1, full=True))
    drawing = Layout().drawing(scene, "down")
    operations = {node.id for node in scene.nodes if node.kind == "operation"}
    tops = [place.y for place in drawing.nodes if place.id in operations]
    assert len(tops) == 101
    assert all(above < below for above, below in pairwise(tops))
    assert {line.edge for line in drawing.edges} == {*range(len(scene.graph.edges))}
