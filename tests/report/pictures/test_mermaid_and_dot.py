"""Mermaid and DOT: well-formed text with all nodes and arrows, within Mermaid's limits."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

import gptrace
from gptrace.graph import graph_of
from gptrace.model.quiet_torch import torch
from gptrace.record import Trace
from gptrace.report import View, render
from gptrace.report.pictures.scene import scene_of
from tests.graph.recording import Recording, Tensor

nn = torch.nn
# A string of DOT: a backslash takes the next character with it.
STRING = r'"(?:[^"\\]|\\.)*"'


@pytest.fixture(scope="module")
def trace() -> Trace:
    return gptrace.trace("Hello, I am", model="tiny", measure="ops")


class Chart:
    """A flowchart of Mermaid, read line by line; an unknown line is an error."""

    def __init__(self, text: str) -> None:
        self.labels: dict[str, str] = {}
        self.arrows: list[tuple[str, str]] = []
        self.boxes: list[str] = []
        head, self.body = text.split("flowchart TD\n")
        assert head.startswith('---\ntitle: "')
        assert head.endswith('"\nconfig:\n  flowchart:\n    subGraphTitleMargin:\n      bottom: 20\n---\n')
        depth = 0
        for line in self.body.splitlines():
            if node := re.fullmatch(r'(n\d+)(?:\["|\(\["|\[/")(.*)(?:"\]|"\]\)|"/\]):::[a-z]+', line):
                self._add(node[1], node[2])
            elif box := re.fullmatch(r'subgraph (n\d+)\["(.*)"\]', line):
                self._add(box[1], box[2])
                self.boxes.append(box[1])
                depth += 1
            elif line == "end":
                depth -= 1
            elif arrow := re.fullmatch(r'(n\d+) -->(?:\|"([^"|]*)"\|)? (n\d+)', line):
                self.arrows.append((arrow[1], arrow[3]))
            else:
                assert re.match(r"(class|classDef|linkStyle) [\w,]+ [\w:#,.-]+", line), line
            assert depth >= 0
        assert depth == 0
        assert {end for arrow in self.arrows for end in arrow} <= {*self.labels}

    def _add(self, node: str, label: str) -> None:
        assert node not in self.labels
        assert not re.search(r'["\[\]{}|`<>]', label.replace("<br/>", ""))
        self.labels[node] = label


def test_mermaid_has_every_node_and_arrow_of_the_open_boxes(trace: Trace) -> None:
    scene = scene_of(trace, View())
    chart = Chart(render(trace, "mermaid"))
    assert {*chart.labels} == {f"n{node.id}" for node in scene.nodes}
    assert chart.labels["n3"] == "tok_emb<br/>Embedding"
    assert chart.labels["n8"] == "0–1 · 2 × TransformerBlock"
    assert [chart.labels[box] for box in chart.boxes][:2] == ["GPTModel", "trf_blocks · Sequential"]
    names = [
        (chart.labels[source].split("<")[0], chart.labels[target].split("<")[0])
        for source, target in chart.arrows
    ]
    assert names == [
        ("in_idx", "tok_emb"), ("arange", "pos_emb"), ("tok_emb", "add"), ("pos_emb", "add"),
        ("add", "drop_emb"), ("drop_emb", "norm1"), ("drop_emb", "add"), ("final_norm", "out_head"),
        ("out_head", "output"), ("norm1", "att"), ("att", "drop_shortcut"), ("drop_shortcut", "add"),
        ("add", "norm2"), ("norm2", "ff"), ("ff", "drop_shortcut (2)"), ("add", "add"),
        ("drop_shortcut (2)", "add"), ("add", "final_norm"),
    ]  # fmt: skip


def large(count: int) -> Trace:
    """A trace of boxes that hold more operations than Mermaid shows arrows."""
    recording = Recording()
    with recording.call("", recording.argument("x")) as root:
        x: Tensor = recording.argument("x")
        for number in range(10):
            with recording.call(f"stage{number}", x) as stage:
                for _ in range(count + number):  # no two are equal
                    x = recording.op("add", x, x, shape=(1,), dims=("1",))
                stage.outputs = [x]
        root.outputs = [x]
    return recording.trace()


@pytest.mark.parametrize(("count", "boxes"), [(40, 11), (52, 1)])
def test_mermaid_stays_within_its_limits(count: int, boxes: int) -> None:
    text = render(large(count), "mermaid", View(depth=9))
    chart = Chart(text)
    assert len(chart.arrows) <= 500
    assert len(text) <= 50_000
    assert len(chart.boxes) == boxes
    assert ("10 deeper boxes are closed" in re.sub(r"\\U0000[0-9a-f]{4}", " ", text)) == (boxes == 1)


def test_dot_has_every_node_and_arrow_of_the_open_boxes(trace: Trace) -> None:
    scene = scene_of(trace, View())
    text = render(trace, "dot")
    plain = re.sub(STRING, '""', text)
    assert plain.count("{") == plain.count("}") == 1 + len(scene.open)
    nodes = {int(number) for number in re.findall(r"^ *n(\d+) \[", plain, re.MULTILINE)}
    clusters = {int(number) for number in re.findall(r"subgraph cluster_(\d+) {", plain)}
    assert (nodes | clusters, clusters) == ({node.id for node in scene.nodes}, {*scene.open})
    arrows = re.findall(r"^  n(\d+) -> n(\d+)", plain, re.MULTILINE)
    assert [(int(one), int(other)) for one, other in arrows] == [
        (arrow.source, arrow.target) for arrow in scene.arrows()
    ]


def test_arrows_end_at_the_makers_and_users_that_the_trace_recorded(trace: Trace) -> None:
    """With all boxes open, nothing stands between a maker and a user but the borders of boxes."""
    scene = scene_of(trace, View(full=True, depth=9))
    nodes: dict[tuple[int | None, int | None], int] = {
        (node.call, node.op): node.id for node in scene.nodes if node.call is not None
    }

    def at(call: int | None, op: int | None) -> int:
        return nodes.get((call, op), nodes[call, None])

    recorded = {
        (at(origin.call, origin.op), at(call.index, number))
        for call in trace.calls
        for number, op in enumerate(call.ops)
        for spec in op.inputs
        if (origin := spec.origin) is not None and origin.call is not None
    }
    drawn = {
        (arrow.source, arrow.target)
        for arrow in scene.arrows()
        if scene.graph.nodes[arrow.source].kind in ("module", "operation")
        and scene.graph.nodes[arrow.target].kind != "output"
    }
    assert drawn == recorded


@pytest.mark.parametrize("view", [View(), View(depth=9), View(only="att"), View(depth=1)])
def test_graphviz_draws_it(trace: Trace, view: View) -> None:
    dot = shutil.which("dot")
    if dot is None:
        pytest.skip("Graphviz is not installed: apt-get install graphviz")
    text = render(trace, "dot", view)
    done = subprocess.run([dot, "-Tplain"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    drawn = [line.split()[1:3] for line in done.stdout.splitlines() if line.startswith("edge")]
    assert len(drawn) == text.count(" -> ")


def test_strings_of_dot_hold_what_begins_an_escape() -> None:
    model = nn.Sequential()
    model.add_module('a"\\n&amp;', nn.ReLU())
    with gptrace.watch(model, measure="ops") as trace:
        model(torch.ones(1, 2))
    assert 'label="a\\"\\\\n&amp;amp;\\nReLU"' in render(trace, "dot")


def test_many_inputs_and_outputs_are_named_and_not_drawn() -> None:
    recording = Recording()
    with recording.call("", *map(recording.argument, "abcdefg")) as root:
        inner = [recording.op("neg", recording.argument(name)) for name in "abcdefg"]
        root.outputs = inner
    trace = recording.trace()
    assert len([node for node in graph_of(trace).nodes if node.kind != "operation"]) == 15
    scene = scene_of(trace, View())
    kinds = [node.kind for node in scene.nodes]
    assert [kinds.count(kind) for kind in ("input", "operation", "output")] == [4, 7, 4]
    assert scene.left_out == ("e", "f", "g", "output", "output", "output")
    assert len(scene.arrows()) == 8
