"""The texts in a picture of a trace, the same in all formats."""

from __future__ import annotations

from gptrace.record import Trace
from gptrace.record.graph import Edge, Node
from gptrace.report.pictures.scene import Scene
from gptrace.report.safe_text import shortened_to, visible
from gptrace.wording import bracketed

# Columns of a name that a picture still shows whole.
_WIDTH = 60
# The axis that people ask about; it stands out.
TOKENS_AXIS = "vocab_size"


def node_lines(scene: Scene, node: Node) -> list[str]:
    """Return the name of a node, and for a module its class and how many equal blocks it stands for."""
    lines = [_short(node.label)]
    if node.kind == "module":
        count, type_name = len(node.layers), _short(scene.type_of(node))
        kind = f"{count} × {type_name}" if count else type_name
        lines += [kind] * (kind != lines[0])
    return lines


def caption_of(scene: Scene, node: Node) -> str:
    """Return the class of a module, where its name does not say it."""
    kind = _short(scene.type_of(node))
    return "" if kind == node.label else kind


def edge_lines(scene: Scene, edge: Edge) -> list[str]:
    """Return the names of the axes of a tensor, and below them their sizes where the title has them not."""
    names, sizes = visible(bracketed(edge.dims)), bracketed(edge.shape)
    is_known = all(part in scene.trace.dims or part.isdigit() for dim in edge.dims for part in dim.split("*"))
    return [names] if is_known else [names, sizes]


def has_tokens_axis(edge: Edge) -> bool:
    """Tell whether a tensor has a number for each token of the vocabulary."""
    return TOKENS_AXIS in edge.dims


def title_lines(trace: Trace) -> list[str]:
    """Return the name of the model with its class, and below it the sizes of the axes."""
    name, class_name = _short(trace.model.name), _short(trace.model.class_name)
    title = class_name if name in ("", class_name) else f"{name} ({class_name})"
    sizes = " · ".join(f"{axis} {size}" for axis, size in trace.dims.items())
    return [title, sizes] if sizes else [title]


def _short(text: str) -> str:
    return shortened_to(visible(text), _WIDTH)
