"""The layout of a picture, by the code of the page's map, which QuickJS runs in place of a browser."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from gptrace.errors import OptionError
from gptrace.report.pictures.labels import caption_of
from gptrace.report.pictures.scene import Scene
from gptrace.report.safe_text import visible

Direction = Literal["down", "right"]
# A layout that needs more memory than this would be a picture that nobody can read.
_MEMORY = 1 << 30


class Title(msgspec.Struct, frozen=True, rename="camel"):
    """The texts of a node side by side, and where the second and the third begin."""

    label: str
    times: str
    caption: str
    times_at: float
    caption_at: float
    count: int
    width: float


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
    title: Title


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
    """The path of a tensor; `edge` is the number of the edge among those of the request."""

    edge: int
    depth: int
    is_entry: bool
    is_exit: bool
    is_skip: bool
    is_loop: bool
    heading: Direction
    points: tuple[Point, ...]
    path: str
    label: Label | None


class Drawing(msgspec.Struct, frozen=True):
    """The places of all that is drawn; a box stands before what it contains."""

    width: float
    height: float
    direction: Direction
    nodes: tuple[Place, ...]
    edges: tuple[Line, ...]


def quickjs_library() -> Any:
    """Return QuickJS, which runs the code of the layout; raise an OptionError where it is not installed."""
    try:
        import quickjs
    except ImportError as error:
        hint = "pip install quickjs-ng"  # not gptrace[svg]: gptrace may run from a checkout
        raise OptionError("an SVG of a trace needs quickjs-ng, which is not installed", hint) from error
    return quickjs


class Layout:
    """The code of the layout, which is read once for all drawings of a picture; it needs QuickJS."""

    def __init__(self) -> None:
        context = quickjs_library().Context()
        context.set_memory_limit(_MEMORY)
        context.eval(files("gptrace").joinpath("report/page/layout.js").read_text("utf-8"))
        self._layout = context.get("gptraceLayout")

    def drawing(self, scene: Scene, direction: Direction, unlabelled: Iterable[int] = ()) -> Drawing:
        """Lay a scene out; the tensors of `unlabelled` have no label."""
        graph = scene.graph
        request = {
            "graph": {
                # Names that can be written as JSON, whatever they are.
                "nodes": [replace(node, label=visible(node.label)) for node in graph.nodes],
                "edges": [replace(edge, dims=tuple(map(visible, edge.dims))) for edge in graph.edges],
            },
            "open": sorted(scene.open),
            "captions": {node.id: text for node in graph.nodes if (text := caption_of(scene, node))},
            "direction": direction,
            "unlabelled": sorted(unlabelled),
        }
        answer = self._layout(msgspec.json.encode(request).decode())
        return msgspec.json.decode(answer, type=Drawing)
