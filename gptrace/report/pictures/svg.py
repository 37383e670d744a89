"""A scene → SVG: text, shapes and plain attributes, which browsers, PowerPoint and Inkscape read alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from xml.sax.saxutils import quoteattr

from gptrace.report.pictures.colors import Colors
from gptrace.report.pictures.heading import Heading, heading_of
from gptrace.report.pictures.labels import tensors_that_say_nothing_new
from gptrace.report.pictures.layout import Direction, Drawing, Layout
from gptrace.report.pictures.map_drawing import MapDrawing, escaped
from gptrace.report.pictures.scene import Scene, shallower, with_blocks_apart

_FONTS = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', 'Noto Sans Mono CJK SC', monospace"
_LANDSCAPE = (1600, 900)
_NARROWEST = 600
_SLIDE_TEXT = 1.3  # how much larger the text above a slide is
_MARGIN = 20
# How much larger than usual a text on a slide may become.
_LARGEST = 2.0
# A larger picture is unreadable, and its layout takes many seconds.
_MOST_NODES = 400
_MOST_LEVELS = 50
_BETWEEN = 50  # two maps


def to_svg(scene: Scene, language: str, theme: str | None = None, *, landscape: bool = False) -> str:
    """Return a picture that flows downwards, or with `landscape` one of 16:9.

    With `landscape`, equal blocks are drawn beside or below the rest, whichever leaves more room.
    """
    layout = Layout()
    while scene.open and (len(scene.nodes) > _MOST_NODES or _levels(scene) > _MOST_LEVELS):
        scene = shallower(scene)
    colors = Colors(theme or "light")
    if not landscape:
        row = _Row([(scene, layout.drawing(scene, "down"))], is_beside=False)
        width = max(row.width + 2 * _MARGIN, _NARROWEST)
        heading = heading_of(scene, language, width - 2 * _MARGIN)
        top = heading.height + 1.5 * _MARGIN
        size = (round(width), round(top + row.height + _MARGIN))
        return _svg(size, language, heading, row.elements(size, top, 1, colors), colors)
    heading = heading_of(scene, language, _LANDSCAPE[0] - 2 * _MARGIN, _SLIDE_TEXT)
    top = heading.height + 1.5 * _MARGIN
    room = (_LANDSCAPE[0] - 2 * _MARGIN, _LANDSCAPE[1] - top - _MARGIN)
    rows = _ways_to_arrange(layout, scene)
    row = max(rows, key=lambda row: row.scale(room))
    return _svg(_LANDSCAPE, language, heading, row.elements(_LANDSCAPE, top, row.scale(room), colors), colors)


def _levels(scene: Scene) -> int:
    """Return how many boxes are inside of each other, at most."""
    depths = [scene.depth_of(box) for box in scene.open]
    return max(depths) - min(depths) + 1


def _ways_to_arrange(layout: Layout, scene: Scene) -> Iterator[_Row]:
    directions: tuple[Direction, ...] = ("right", "down")
    for direction, scenes in product(directions, ([scene], with_blocks_apart(scene))):
        maps = [
            (each, layout.drawing(each, direction, tensors_that_say_nothing_new(each))) for each in scenes
        ]
        yield _Row(maps, is_beside=direction == "down")


@dataclass(frozen=True, slots=True)
class _Row:
    """Maps beside each other, or below each other."""

    maps: Sequence[tuple[Scene, Drawing]]
    is_beside: bool

    @property
    def width(self) -> float:
        widths = [drawing.width for _, drawing in self.maps]
        return sum(widths) + _BETWEEN * (len(widths) - 1) if self.is_beside else max(widths)

    @property
    def height(self) -> float:
        heights = [drawing.height for _, drawing in self.maps]
        return max(heights) if self.is_beside else sum(heights) + _BETWEEN * (len(heights) - 1)

    def scale(self, room: tuple[float, float]) -> float:
        """Return how large the maps can be drawn."""
        return min(room[0] / self.width, room[1] / self.height, _LARGEST)

    def elements(self, size: tuple[int, int], top: float, scale: float, colors: Colors) -> Iterator[str]:
        """Draw the maps in the middle of the room below a heading."""
        x = (size[0] - self.width * scale) / 2
        y = top + (size[1] - _MARGIN - top - self.height * scale) / 2
        for scene, drawing in self.maps:
            slack = self.height - drawing.height if self.is_beside else self.width - drawing.width
            shift = slack * scale / 2
            place = (x, y + shift) if self.is_beside else (x + shift, y)
            yield from MapDrawing(scene, drawing, colors).elements(*place, scale)
            if self.is_beside:
                x += (drawing.width + _BETWEEN) * scale
            else:
                y += (drawing.height + _BETWEEN) * scale


def _svg(
    size: tuple[int, int], language: str, heading: Heading, elements: Iterable[str], colors: Colors
) -> str:
    width, height = size
    tag = "zh-CN" if language == "zh" else language
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" xml:lang="{tag}">',
        f"<title>{escaped(heading.title)}</title>",
        f"<desc>{escaped(heading.description)}</desc>",
        f'<rect width="{width}" height="{height}" fill="{colors["ground"]}"/>',
        f'<g font-family={quoteattr(_FONTS)} font-size="13" fill="{colors["ink"]}">',
        *_heading(heading, colors),
        *elements,
        "</g>",
        "</svg>",
        "",
    ])  # fmt: skip


def _heading(heading: Heading, colors: Colors) -> Iterator[str]:
    y = _MARGIN / 2
    for line in heading.lines:
        y += line.height
        spans = "".join(
            f'<tspan fill="{colors.axis(axis)}" font-weight="600">{escaped(text)}</tspan>'
            if axis
            else escaped(text)
            for text, axis in line.spans
        )
        weight = ' font-weight="600"' * line.is_bold
        looks = f'font-size="{line.size:g}"{weight} xml:space="preserve"'
        yield f'<text x="{_MARGIN}" y="{y:g}" {looks}>{spans}</text>'
