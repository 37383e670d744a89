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


def edge_lines(edge: Edge) -> list[str]:
    """Return the names of the axes of a tensor, and below them their sizes."""
    names, sizes = visible(bracketed(edge.dims)), bracketed(edge.shape)
    return [names] if names == sizes else [names, sizes]


def has_tokens_axis(edge: Edge) -> bool:
    """Tell whether a tensor has a number for each token of the vocabulary."""
    return TOKENS_AXIS in edge.dims


def title_of(trace: Trace) -> str:
    """Return the title of a picture: the name of the model, and its class."""
    name, class_name = visible(trace.model.name), visible(trace.model.class_name)
    return class_name if name in ("", class_name) else f"{name} ({class_name})"


def _short(text: str) -> str:
    return shortened_to(visible(text), _WIDTH)
