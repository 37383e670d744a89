"""The elements of the map in an SVG: frames, nodes, lines and labels."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from gptrace.record.graph import Edge, Node
from gptrace.report.pictures.colors import Colors
from gptrace.report.pictures.labels import TOKENS_AXIS, caption_of, has_tokens_axis
from gptrace.report.pictures.layout import Drawing, Label, Line, Place
from gptrace.report.pictures.scene import Scene
from gptrace.report.safe_text import visible

# As in the page's map: where a title begins, and how far the blocks behind the first one stand out.
_SIDE, _STACK = 13, 8
_BOLD = ' font-weight="600"'
_CAPTION = 7.0  # the width of a character of a class


class MapDrawing:
    """Draws a scene at the places of its layout."""

    def __init__(self, scene: Scene, drawing: Drawing, colors: Colors) -> None:
        self._scene, self._drawing, self._colors = scene, drawing, colors

    def elements(self, left: float, top: float, scale: float) -> Iterator[str]:
        """Yield the elements, with the map's upper left corner there."""
        scaled = f" scale({scale:.4g})" if scale != 1 else ""
        yield f'<g transform="translate({left:.1f},{top:.1f}){scaled}">'
        for place in self._drawing.nodes:
            if place.is_open:
                yield self._frame(place)
        for line in self._drawing.edges:
            yield from self._line(line)
        for place in self._drawing.nodes:
            yield from self._node(place)
        for line in self._drawing.edges:
            if line.label is not None:
                yield from self._label(line, line.label)
        yield "</g>"

    def _frame(self, place: Place) -> str:
        stroke = self._colors["bad" if self._has_failed(place) else "line"]
        corner, size = (place.x, place.y), (place.width, place.height)
        return _rectangle(corner, size, 10, self._ground(place.depth), stroke)

    def _ground(self, depth: int) -> str:
        """Return the colour of the ground in a box."""
        return self._colors["surface" if depth % 2 == 0 else "ground"]

    def _node(self, place: Place) -> Iterator[str]:
        node = self._scene.graph.nodes[place.id]
        if not place.is_open:
            yield from self._shape(place, node)
        if place.is_open:
            yield from self._open_title(place, node)
            return
        title, y = place.title, place.y + place.height / 2 + 4.5
        if node.kind != "module":
            yield _text(place.x + place.width / 2, y, title.label, ' text-anchor="middle"')
            return
        x = place.x + (place.width - title.width) / 2
        yield _text(x + _SIDE, y, title.label, _BOLD)
        yield from self._times(x + title.times_at, y, title.times)
        yield from self._caption(x + title.caption_at, y, title.caption)

    def _open_title(self, place: Place, node: Node) -> Iterator[str]:
        """Draw the name of an open box, how many blocks it stands for, and its class where there is room."""
        x, y = place.x + _SIDE, place.y + 22
        yield _text(x, y, place.title.label, _BOLD)
        x = place.x + place.title.times_at
        if node.layers:
            yield from self._times(x, y, place.title.times)
            x = place.x + place.title.caption_at
        caption = caption_of(self._scene, node)
        if x + len(caption) * _CAPTION < place.x + place.width:
            yield from self._caption(x, y, caption)

    def _times(self, x: float, y: float, text: str) -> Iterator[str]:
        if text:
            yield _text(x, y, text, f'{_BOLD} fill="{self._colors["accent"]}"')

    def _caption(self, x: float, y: float, text: str) -> Iterator[str]:
        if text:
            yield _text(x, y, text, f' font-size="11" fill="{self._colors["quiet"]}"')

    def _shape(self, place: Place, node: Node) -> Iterator[str]:
        fill, stroke = {
            "module": (self._colors["surface"], self._colors["line"]),
            "operation": (self._colors["raised"], "none"),
            "parameter": ("none", self._colors["line"]),
        }.get(node.kind, (self._colors["accent-soft"], self._colors["accent"]))
        if place.can_open:
            fill, stroke = self._colors["raised"], self._colors["ink"]
        if self._has_failed(place):
            fill, stroke = self._colors["bad-soft"], self._colors["bad"]
        size, radius = (place.width, place.height), 8 if node.kind == "module" else place.height / 2
        for shift in (_STACK, _STACK // 2) if place.title.count > 1 else ():
            yield _rectangle((place.x + shift, place.y - shift), size, radius, fill, stroke)
        dashes = "3 3" if node.kind == "parameter" else ""
        yield _rectangle((place.x, place.y), size, radius, fill, stroke, dashes)

    def _has_failed(self, place: Place) -> bool:
        node = self._scene.graph.nodes[place.id]
        if node.call is None:
            return False
        call = self._scene.trace.calls[node.call]
        return call.failed if node.op is None else call.ops[node.op].failed

    def _line(self, line: Line) -> Iterator[str]:
        color, width = self._colors["line"], 1.4
        if has_tokens_axis(self._edge(line)):
            color, width = self._colors.axis(TOKENS_AXIS), 3.0
        elif line.is_skip:
            color, width = self._colors["skip"], 4.0
        dashes = ' stroke-dasharray="4 3"' * line.is_loop
        yield f'<path d="{line.path}" fill="none" stroke="{color}" stroke-width="{width:g}"{dashes}/>'
        first, last = line.points[0], line.points[-1]
        if not line.is_exit:
            yield f'<path d="M{last.x:.1f},{last.y:.1f}{self._tip(line)}z" fill="{color}"/>'
        if line.is_entry:
            yield f'<circle cx="{first.x:.1f}" cy="{first.y:.1f}" r="3" fill="{color}"/>'

    def _tip(self, line: Line) -> str:
        """Return the two other corners of the tip of an arrow."""
        last = line.points[-1]
        before = line.points[-2] if len(line.points) > 1 else last
        if line.is_loop:
            return "l7,-4v8" if self._drawing.direction == "down" else "l-4,7h8"
        if line.heading == "down":
            return "l-4,7h8" if before.y > last.y else "l-4,-7h8"
        return "l7,-4v8" if before.x > last.x else "l-7,-4v8"

    def _label(self, line: Line, label: Label) -> Iterator[str]:
        edge = self._edge(line)
        is_of_tokens = has_tokens_axis(edge)
        fill = self._colors["tokens-soft"] if is_of_tokens else self._ground(line.depth)
        stroke = self._colors.axis(TOKENS_AXIS) if is_of_tokens else "none"
        yield _rectangle((label.x, label.y), (label.width, label.height), 3, fill, stroke)
        # Axes without names are one column.
        for number, column in enumerate(label.columns):
            x = label.x + column.x
            middle = ' text-anchor="middle" font-size="11"'
            if column.name:
                color = self._colors.axis(edge.dims[number])
                yield _text(x, label.y + 11, column.name, f'{middle} font-weight="600" fill="{color}"')
            y = label.y + (25 if label.height > 20 else 12)
            yield _text(x, y, column.size, f'{middle} fill="{self._colors["quiet"]}"')

    def _edge(self, line: Line) -> Edge:
        return self._scene.graph.edges[line.edge]


def _rectangle(
    corner: tuple[float, float],
    size: tuple[float, float],
    radius: float,
    fill: str,
    stroke: str,
    dashes: str = "",
) -> str:
    dashed = f' stroke-dasharray="{dashes}"' * bool(dashes)
    return (
        f'<rect x="{corner[0]:.1f}" y="{corner[1]:.1f}" width="{size[0]:.1f}" height="{size[1]:.1f}" '
        f'rx="{radius:g}" fill="{fill}" stroke="{stroke}"{dashed}/>'
    )


def _text(x: float, y: float, text: str, looks: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"{looks}>{escaped(text)}</text>'


def escaped(text: str) -> str:
    """Return text that can stand in an element: characters that cannot be shown are escaped."""
    return escape(visible(text))
