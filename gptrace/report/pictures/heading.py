"""The heading of a picture: the model, the main line of shapes, and the meaning of its last axis."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gptrace.record import FlowStep, TensorSpec
from gptrace.report.line_breaking import break_lines
from gptrace.report.main_line import main_line, sentence_on_logits
from gptrace.report.pictures.labels import title_lines
from gptrace.report.pictures.scene import Scene
from gptrace.report.safe_text import exception_label, visible
from gptrace.translation import in_language, joined, recorded, words
from gptrace.wording import bracketed

# A text, and the axis that it names or counts, or "".
Span = tuple[str, str]
# The width of a character of a monospaced font, relative to its height.
_EM = 0.61
_LEADING = 1.5  # the distance of lines, relative to their font size
_NAMED = 2  # of the inputs and outputs that are not drawn
_NAME = re.compile(r"([^\s,\[\]→*]+)")


@dataclass(frozen=True, slots=True)
class HeadingLine:
    """A line of text; `height` is the distance from the line above."""

    spans: tuple[Span, ...]
    size: float
    height: float
    is_bold: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    """The lines above a picture, and its description for a screen reader."""

    title: str
    description: str
    lines: tuple[HeadingLine, ...]

    @property
    def height(self) -> float:
        """The height of all lines."""
        return sum(line.height for line in self.lines)


def heading_of(scene: Scene, language: str, width: float, scale: float = 1) -> Heading:
    """Return the heading of a picture of this width, in a language, `scale` times as large as usual."""
    title = title_lines(scene)[0]
    steps = _steps(scene)
    flow = " → ".join(visible(bracketed(step.dims)) for step in steps)
    axes = {axis for step in steps for axis in step.dims}
    sentences = [in_language(sentence, language) for sentence in sentences_on(scene)]
    looks = [(title, 17, True), (flow, 14, False), *((sentence, 13, False) for sentence in sentences)]
    lines = []
    for text, usual_size, is_title in looks:
        size = usual_size * scale
        for part in break_lines(text, int(width / (size * _EM))) if text else []:
            spans = _spans(part, axes) if text == flow else ((part, ""),)
            lines.append(HeadingLine(spans, size, size * _LEADING, is_title))
    sizes = " → ".join(bracketed(step.shape) for step in steps)
    shapes = [flow, sizes] if sizes != flow else [flow]
    return Heading(title, "; ".join(filter(None, [title, *shapes, *sentences])), tuple(lines))


def _steps(scene: Scene) -> Sequence[FlowStep | TensorSpec]:
    """Return the shapes of the main line, or the first that goes into a call and the first out of it."""
    if scene.call is None:
        return main_line(scene.trace)
    call = scene.trace.calls[scene.call]
    return (*call.inputs[:1], *call.outputs[:1])


def sentences_on(scene: Scene) -> list[str]:
    """Return what the logits are, and the remarks."""
    logits = sentence_on_logits(scene.trace) if scene.call is None else ""
    return [*([logits] if logits else []), *remarks_on(scene)]


def remarks_on(scene: Scene) -> list[str]:
    """Return the parts that the picture does not show, with the reasons."""
    trace = scene.trace
    sentences: list[str] = []
    if not any(edge.box is not None for edge in scene.graph.edges):
        sentences.append(
            words("This trace has no operations, which --ops records, so nothing says where tensors flow.")
        )
    if scene.left_out:
        names = joined(map(visible, scene.left_out[:_NAMED]), " and ")
        sentences.append(
            words("{} more inputs and outputs are not drawn, such as {}.", len(scene.left_out), names)
        )
    if scene.closed:
        sentences.append(words("{} deeper boxes are closed: too much for one picture.", scene.closed))
    if trace.error is not None:
        where = visible(trace.error.path) or words("the model itself")
        sentences.append(words("raised in {}: {}", where, exception_label(trace.error)))
        if trace.error.diagnosis:
            sentences.append(words("likely: {}", recorded(visible(trace.error.diagnosis))))
    return sentences


def _spans(text: str, axes: Collection[str]) -> tuple[Span, ...]:
    """Split a line at the names of axes."""
    return tuple((part, part if part in axes else "") for part in _NAME.split(text) if part)
