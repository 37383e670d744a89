"""A scene → SVG: text, shapes and plain attributes, which browsers, PowerPoint and Inkscape read alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape, quoteattr

from gptrace.record.graph import Edge
from gptrace.report.pictures.colors import Colors
from gptrace.report.pictures.heading import Heading, heading_of
from gptrace.report.pictures.labels import has_tokens_axis
from gptrace.report.pictures.layout import Drawing, Label, Line, Place, drawing_of
from gptrace.report.pictures.scene import Scene
from gptrace.report.safe_text import visible

_FONTS = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', 'Noto Sans Mono CJK SC', monospace"
_LANDSCAPE = (1600, 900)
_MARGIN = 20
# No text becomes more than so much larger than it is drawn in a picture that fills a slide.
_LARGEST = 2.0


def to_svg(scene: Scene, language: str, theme: str | None = None, *, landscape: bool = False) -> str:
    """Return a picture that flows downwards; with `landscape`, one of 16:9 that flows to the right."""
    drawing = drawing_of(scene, "right" if landscape else "down")
    picture = _Picture(scene, Colors(theme or "light"))
    if landscape:
        return picture.on_slide(drawing, language)
    return picture.as_large_as_needed(drawing, language)


class _Picture:
    """Draws the parts of a picture."""

    def __init__(self, scene: Scene, colors: Colors) -> None:
        self._scene, self._colors = scene, colors
        self._nodes = {node.id: node for node in scene.nodes}

    def as_large_as_needed(self, drawing: Drawing, language: str) -> str:
        width = round(max(drawing.width, 560) + 2 * _MARGIN)
        heading = heading_of(self._scene, language, width - 2 * _MARGIN)
        left, top = (width - drawing.width) / 2, heading.height + 2 * _MARGIN
        height = round(top + drawing.height + _MARGIN)
        map = self._map(drawing, f"translate({left:g},{top:g})")
        return self._svg((width, height), language, heading, map)

    def on_slide(self, drawing: Drawing, language: str) -> str:
        width, height = _LANDSCAPE
        heading = heading_of(self._scene, language, width - 2 * _MARGIN)
        top = heading.height + 2 * _MARGIN
        room = (width - 2 * _MARGIN, height - top - _MARGIN)
        scale = min(room[0] / drawing.width, room[1] / drawing.height, _LARGEST)
        left = (width - drawing.width * scale) / 2
        top += (room[1] - drawing.height * scale) / 2
        map = self._map(drawing, f"translate({left:g},{top:g}) scale({scale:.4g})")
        return self._svg(_LANDSCAPE, language, heading, map)

    def _svg(self, size: tuple[int, int], language: str, heading: Heading, map: Iterable[str]) -> str:
        width, height = size
        tag = "zh-CN" if language == "zh" else language
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" xml:lang="{tag}">',
            f"<title>{_escaped(heading.title)}</title>",
            f"<desc>{_escaped(heading.description)}</desc>",
            f'<rect width="{width}" height="{height}" fill="{self._colors["ground"]}"/>',
            f"<g font-family={quoteattr(_FONTS)} font-size=\"13\" fill=\"{self._colors['ink']}\">",
            *self._heading(heading),
            *map,
            "</g>",
            "</svg>",
            "",
        ])  # fmt: skip

    def _heading(self, heading: Heading) -> Iterator[str]:
        y = float(_MARGIN)
        for line in heading.lines:
            y += line.height
            spans = "".join(self._span(text, axis) for text, axis in line.spans)
            weight = ' font-weight="600"' * line.is_bold
            looks = f'font-size="{line.size}"{weight} xml:space="preserve"'
            yield f'<text x="{_MARGIN}" y="{y:g}" {looks}>{spans}</text>'

    def _span(self, text: str, axis: str) -> str:
        if not axis:
            return _escaped(text)
        return f'<tspan fill="{self._colors.axis(axis)}" font-weight="600">{_escaped(text)}</tspan>'

    def _map(self, drawing: Drawing, transform: str) -> Iterator[str]:
        yield f'<g transform="{transform}">'
        for place in drawing.nodes:
            if place.is_open:
                yield self._frame(place)
        for line in drawing.edges:
            yield from self._line(line)
        for place in drawing.nodes:
            yield from self._node(place)
        for line in drawing.edges:
            if line.label is not None:
                yield from self._label(line, line.label)
        yield "</g>"

    def _frame(self, place: Place) -> str:
        return _rectangle(
            place.x, place.y, place.width, place.height, 10, self._on(place.depth), self._colors["line"]
        )

    def _on(self, depth: int) -> str:
        """Return the colour of the ground in a box."""
        return self._colors["surface" if depth % 2 == 0 else "ground"]

    def _node(self, place: Place) -> Iterator[str]:
        node = self._nodes[place.id]
        fill, stroke = {
            "module": (self._colors["surface"], self._colors["line"]),
            "operation": (self._colors["raised"], "none"),
            "parameter": ("none", self._colors["line"]),
        }.get(node.kind, (self._colors["accent-soft"], self._colors["accent"]))
        if place.can_open and not place.is_open:
            fill, stroke = self._colors["raised"], self._colors["ink"]
        if not place.is_open:
            shape = (place.width, place.height, 8 if node.kind == "module" else place.height / 2)
            for shift in (8, 4) if node.layers else ():
                yield _rectangle(place.x + shift, place.y - shift, *shape, fill, stroke)
            dashes = "3 3" if node.kind == "parameter" else ""
            yield _rectangle(place.x, place.y, *shape, fill, stroke, dashes)
        for text in place.texts:
            looks = {
                "title": 'font-weight="600"' if node.kind == "module" else "",
                "times": f'font-weight="600" fill="{self._colors["accent"]}"',
                "caption": f'font-size="11" fill="{self._colors["quiet"]}"',
            }[text.role]
            yield _text(text.x, text.y, text.text, text.anchor, looks)

    def _line(self, line: Line) -> Iterator[str]:
        edge = self._edge(line)
        color, width = self._colors["line"], 1.4
        if has_tokens_axis(edge):
            color, width = self._colors["tokens"], 3.5
        elif line.is_skip:
            color, width = self._colors["skip"], 4
        dashes = ' stroke-dasharray="4 3"' * line.is_loop
        yield f'<path d="{line.line}" fill="none" stroke="{color}" stroke-width="{width}"{dashes}/>'
        if line.head:
            yield f'<path d="{line.head}" fill="{color}"/>'
        if line.is_entry:
            yield f'<circle cx="{line.points[0].x:g}" cy="{line.points[0].y:g}" r="3" fill="{color}"/>'

    def _label(self, line: Line, label: Label) -> Iterator[str]:
        dims = self._edge(line).dims
        is_of_tokens = has_tokens_axis(self._edge(line))
        fill = self._colors["tokens-soft"] if is_of_tokens else self._on(line.depth)
        stroke = self._colors["tokens"] if is_of_tokens else "none"
        yield _rectangle(label.x, label.y, label.width, label.height, 3, fill, stroke)
        for column, dim in zip(label.columns, dims or ("",), strict=True):
            x = label.x + column.x
            if column.name:
                look = f'font-size="11" font-weight="600" fill="{self._colors.axis(dim)}"'
                yield _text(x, label.y + 11, column.name, "middle", look)
            y = label.y + (25 if label.height > 20 else 12)
            yield _text(x, y, column.size, "middle", f'font-size="11" fill="{self._colors["quiet"]}"')

    def _edge(self, line: Line) -> Edge:
        return self._scene.graph.edges[line.edge]


def _rectangle(
    x: float, y: float, width: float, height: float, radius: float, fill: str, stroke: str, dashes: str = ""
) -> str:
    dashed = f' stroke-dasharray="{dashes}"' * bool(dashes)
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}" '
        f'fill="{fill}" stroke="{stroke}"{dashed}/>'
    )


def _text(x: float, y: float, text: str, anchor: str, looks: str) -> str:
    middle = ' text-anchor="middle"' * (anchor == "middle")
    return f'<text x="{x:.1f}" y="{y:.1f}"{middle} {looks}>{_escaped(text)}</text>'


def _escaped(text: str) -> str:
    return escape(visible(text))
