"""The texts in a picture of a trace, the same in all formats."""

from __future__ import annotations

from collections import defaultdict

from gptrace.record.graph import Edge, Node
from gptrace.report.pictures.scene import Scene
from gptrace.report.safe_text import shortened_to, visible
from gptrace.report.shapes import split_names
from gptrace.wording import bracketed

_Axes = tuple[tuple[str, ...], tuple[int, ...]]
# Columns of a name that a picture still shows whole.
_WIDTH = 60
# The axis that people ask about; it is highlighted.
TOKENS_AXIS = "vocab_size"


def node_lines(scene: Scene, node: Node) -> list[str]:
    """Return the name of a node, and for a module its class and how many equal blocks it stands for.

    A closed box that holds only equal blocks is shown as these blocks.
    """
    lines = [_short(node.label)]
    if node.kind == "module":
        shown = node if node.id in scene.open else scene.blocks_in(node) or node
        count, type_name = len(shown.layers), _short(scene.type_of(shown))
        kind = f"{count} × {type_name}" if count else type_name
        lines += [kind] * (kind != lines[0])
    return lines


def caption_of(scene: Scene, node: Node) -> str:
    """Return the class of a module, if its name differs from it."""
    kind = _short(scene.type_of(node))
    return "" if kind == node.label else kind


def edge_lines(scene: Scene, edge: Edge) -> list[str]:
    """Return the names of the axes of a tensor, and below them the sizes that are not in the title."""
    names = visible(bracketed(split_names(edge.dims, edge.split_by)))
    sizes = bracketed(edge.shape)
    is_known = all(part in scene.trace.dims or part.isdigit() for dim in edge.dims for part in dim.split("*"))
    return [names] if is_known else [names, sizes]


def tensors_that_say_nothing_new(scene: Scene) -> set[int]:
    """Return the tensors that no node changes, and whose axes stand elsewhere in the same box."""
    entering: defaultdict[int, set[_Axes]] = defaultdict(set)
    leaving: defaultdict[int, set[_Axes]] = defaultdict(set)
    for edge in scene.graph.edges:
        if edge.source != edge.box:
            leaving[edge.source].add((edge.dims, edge.shape))
        if edge.target != edge.box:
            entering[edge.target].add((edge.dims, edge.shape))
    said: set[tuple[int | None, _Axes]] = set()
    kept: set[int] = set()
    for edge in scene.graph.edges:
        if edge.box in (edge.source, edge.target):
            continue  # at the border of a box stands no label
        axes = (edge.dims, edge.shape)
        is_new = axes not in entering[edge.source] or (edge.box, axes) not in said
        if is_new or not leaving[edge.target] <= entering[edge.target]:
            said.add((edge.box, axes))
            kept.add(edge.tensor)
    return {edge.tensor for edge in scene.graph.edges} - kept


def has_tokens_axis(edge: Edge) -> bool:
    """Tell whether a tensor has a number for each token of the vocabulary."""
    return TOKENS_AXIS in edge.dims


def title_lines(scene: Scene) -> list[str]:
    """Return the name of the model with its class, or of a call in it, and below it the sizes of the axes."""
    trace = scene.trace
    name, class_name = _short(trace.model.name), _short(trace.model.class_name)
    if scene.call is not None:
        call = trace.calls[scene.call]
        name, class_name = f"{name or class_name}: {_short(call.path)}", _short(call.type)
    title = class_name if name in ("", class_name) else f"{name} ({class_name})"
    sizes = " · ".join(f"{axis} {size}" for axis, size in trace.dims.items())
    return [title, sizes] if sizes else [title]


def _short(text: str) -> str:
    return shortened_to(visible(text), _WIDTH)
