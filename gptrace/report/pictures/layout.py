"""Where everything in a picture is: the layout of the page's map, run by QuickJS in place of a browser."""

from __future__ import annotations

from importlib.resources import files
from typing import Literal

import msgspec
from msgspec.structs import replace

from gptrace.errors import OptionError
from gptrace.record.graph import Graph
from gptrace.report.pictures.labels import caption_of
from gptrace.report.pictures.scene import Scene
from gptrace.report.safe_text import visible

# A layout that uses more than this would be of a picture that nobody can read.
_MEMORY = 1 << 30


class Text(msgspec.Struct, frozen=True):
    """A text, its place, and whether this is its beginning or its middle."""

    text: str
    role: Literal["title", "times", "caption"]
    x: float
    y: float
    anchor: Literal["start", "middle"]


class Place(msgspec.Struct, frozen=True, rename="camel"):
    """A node; `depth` counts the boxes around it."""

    id: int
    x: float
    y: float
    width: float
    height: float
    depth: int
    is_open: bool
    can_open: bool
    texts: tuple[Text, ...]


class Column(msgspec.Struct, frozen=True):
    """An axis on a label: its name, which may be empty, and its size; x counts from the label."""

    name: str
    size: str
    x: float


class Label(msgspec.Struct, frozen=True):
    """The axes of a tensor beside its line."""

    x: float
    y: float
    width: float
    height: float
    columns: tuple[Column, ...]


class Point(msgspec.Struct, frozen=True):
    """A point."""

    x: float
    y: float


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """The path of a tensor and of the tip of its arrow; `edge` is its number in the graph."""

    edge: int
    depth: int
    is_entry: bool
    is_skip: bool
    is_loop: bool
    points: tuple[Point, ...]
    line: str
    head: str
    label: Label | None


class Drawing(msgspec.Struct, frozen=True):
    """The places of all that is drawn; a box stands before what it contains."""

    width: float
    height: float
    nodes: tuple[Place, ...]
    edges: tuple[Line, ...]


def drawing_of(scene: Scene, direction: Literal["down", "right"]) -> Drawing:
    """Lay a scene out; raise an OptionError where QuickJS is not installed."""
    try:
        import quickjs
    except ImportError as error:
        hint = "pip install quickjs-ng"  # not gptrace[svg]: it may run from a checkout
        raise OptionError("an SVG of a trace needs quickjs-ng, which is not installed", hint) from error
    request = {
        "graph": _visible(scene.graph),
        "open": sorted(scene.open),
        "captions": {node.id: text for node in scene.nodes if (text := caption_of(scene, node))},
        "direction": direction,
    }
    context = quickjs.Context()
    context.set_memory_limit(_MEMORY)
    context.eval(files("gptrace").joinpath("report/page/drawing.js").read_text("utf-8"))
    answer = context.get("gptraceDrawing")(msgspec.json.encode(request).decode())
    return msgspec.json.decode(answer, type=Drawing)


def _visible(graph: Graph) -> Graph:
    """Return a graph whose names can be written as JSON, whatever they are."""
    return Graph(
        tuple(replace(node, label=visible(node.label)) for node in graph.nodes),
        tuple(replace(edge, dims=tuple(map(visible, edge.dims))) for edge in graph.edges),
    )
