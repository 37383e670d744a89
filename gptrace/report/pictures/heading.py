"""What stands above a picture: the model, the main line of shapes, and what its last axis means."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from gptrace.report.line_breaking import break_lines
from gptrace.report.main_line import main_line, sentence_on_logits
from gptrace.report.pictures.labels import title_lines
from gptrace.report.pictures.scene import Scene
from gptrace.report.safe_text import visible
from gptrace.translation import in_language, words
from gptrace.wording import bracketed, one_line

# A text, and the axis that it names or counts, or "".
Span = tuple[str, str]
# The width of a character of a monospaced font, of its height.
_EM = 0.61
_NAME = re.compile(r"([^\s,\[\]→*]+)")


@dataclass(frozen=True, slots=True)
class HeadingLine:
    """A line of text; `height` is the distance from the line above."""

    spans: tuple[Span, ...]
    size: int
    height: int
    is_bold: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    """The lines above a picture, and what a screen reader says in its place."""

    title: str
    description: str
    lines: tuple[HeadingLine, ...]

    @property
    def height(self) -> int:
        """The height of all lines."""
        return sum(line.height for line in self.lines)


def heading_of(scene: Scene, language: str, width: float) -> Heading:
    """Return what stands above a picture of this width, in a language."""
    trace = scene.trace
    title = title_lines(trace)[0]
    steps = [visible(bracketed(step.dims)) for step in main_line(trace)]
    flow, axes = " → ".join(steps), {axis for step in main_line(trace) for axis in step.dims}
    sentences = [in_language(sentence, language) for sentence in _sentences(scene)]
    lines = [HeadingLine(((part, ""),), 17, 24, is_bold=True) for part in _broken(title, 17, width)]
    lines += [HeadingLine(_spans(part, axes), 14, 23) for part in _broken(flow, 14, width)]
    lines += [HeadingLine(((part, ""),), 13, 20) for text in sentences for part in _broken(text, 13, width)]
    sizes = " → ".join(bracketed(step.shape) for step in main_line(trace))
    shapes = [flow, sizes] if sizes != flow else [flow]
    return Heading(title, "\n".join(filter(None, [title, *shapes, *sentences])), tuple(lines))


def _sentences(scene: Scene) -> list[str]:
    """Return what the logits are, and what the picture does not show."""
    trace = scene.trace
    sentences = [sentence_on_logits(trace)]
    if not any(edge.box is not None for edge in scene.graph.edges):
        sentences.append(words("This trace has no operations, so nothing says which tensor flows where."))
    if scene.closed:
        sentences.append(words("{} deeper boxes are closed: too much for one picture.", scene.closed))
    if trace.error is not None:
        where = visible(trace.error.path) or words("the model itself")
        message = visible(one_line(trace.error.message, limit=None))
        sentences.append(words("raised in {}: {}: {}", where, visible(trace.error.type), message))
    return [sentence for sentence in sentences if sentence]


def _broken(text: str, size: int, width: float) -> list[str]:
    return break_lines(text, int(width / (size * _EM))) if text else []


def _spans(text: str, axes: Collection[str]) -> tuple[Span, ...]:
    """Split a line at the names of axes."""
    return tuple((part, part if part in axes else "") for part in _NAME.split(text) if part)
