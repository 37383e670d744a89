"""A scene → DOT, the language of Graphviz, with a cluster for each open box."""

from __future__ import annotations

from collections.abc import Iterator

from gptrace.report.pictures.heading import sentences_on
from gptrace.report.pictures.labels import edge_lines, has_tokens_axis, node_lines, title_lines
from gptrace.report.pictures.scene import Arrow, Scene
from gptrace.translation import in_language

_HEAD = """\
digraph trace {
  compound=true;
  labelloc=t;
  fontname="Helvetica";
  node [fontname="Helvetica", fontsize=11, shape=box, style="rounded,filled", fillcolor="#e8eefb", \
color="#1b57c4"];
  edge [fontname="Helvetica", fontsize=9, color="#576070"];
"""
_LOOKS = {
    "module": "",
    "operation": 'fillcolor="#eef1f5", color="#8b95a5", height=0.3',
    "input": 'shape=ellipse, fillcolor="#ffffff", color="#576070"',
    "output": 'shape=ellipse, fillcolor="#ffffff", color="#576070"',
    "parameter": 'shape=note, style=filled, fillcolor="#fdf0d5", color="#7d5300"',
}
_BLOCKS = "peripheries=2"
_TOKENS_LOOK = 'color="#b0206a", fontcolor="#b0206a", penwidth=3'


def to_dot(scene: Scene, language: str) -> str:
    """Return a directed graph; `dot -Tsvg` draws it."""
    inner: dict[int, int] = {}  # of each open box, the first node in it that is no box
    for node in scene.nodes:
        box = node.parent
        while node.id not in scene.open and box is not None and box not in inner:
            inner[box] = node.id
            box = scene.graph.nodes[box].parent
    title = [*title_lines(scene), *(in_language(sentence, language) for sentence in sentences_on(scene))]
    lines = [f"  label={_quoted(title)};", *_nodes(scene)]
    labelled: set[int] = set()
    for arrow in scene.arrows():
        text = [] if arrow.edge.tensor in labelled else edge_lines(scene, arrow.edge)
        lines.append(_edge(arrow, inner, text))
        labelled.add(arrow.edge.tensor)
    return _HEAD + "\n".join(lines) + "\n}\n"


def _nodes(scene: Scene) -> Iterator[str]:
    ends: list[int] = []  # of the open boxes, innermost last
    for node in scene.nodes:
        while ends and node.parent != ends[-1]:
            yield "  " * len(ends) + "}"
            ends.pop()
        indent, label = "  " * (len(ends) + 1), _quoted(node_lines(scene, node))
        if node.id in scene.open:
            look = (
                f'color="#8b95a5"; style=rounded; {_BLOCKS};'
                if node.layers
                else 'color="#8b95a5"; style=rounded;'
            )
            yield f"{indent}subgraph cluster_{node.id} {{ label={label}; {look}"
            ends.append(node.id)
        else:
            looks = [look for look in (_LOOKS[node.kind], _BLOCKS if node.layers else "") if look]
            yield f"{indent}n{node.id} [{', '.join([f'label={label}', *looks])}];"
    while ends:
        yield "  " * len(ends) + "}"
        ends.pop()


def _edge(arrow: Arrow, inner: dict[int, int], text: list[str]) -> str:
    looks = [f"label={_quoted(text)}"] * bool(text)
    looks += [_TOKENS_LOOK] * has_tokens_axis(arrow.edge)
    # An edge of Graphviz goes from node to node, and is cut at the border of a cluster.
    looks += [f"ltail=cluster_{arrow.source}"] * (arrow.source in inner)
    looks += [f"lhead=cluster_{arrow.target}"] * (arrow.target in inner)
    ends = (f"n{inner.get(end, end)}" for end in (arrow.source, arrow.target))
    return f"  {' -> '.join(ends)}" + (f" [{', '.join(looks)}];" if looks else ";")


def _quoted(lines: list[str]) -> str:
    r"""Write lines as one string of DOT, in which a backslash and an ampersand begin an escape.

    >>> print(_quoted(['say "a\\b"', "x & y"]))
    "say \"a\\b\"\nx &amp; y"
    """
    texts = (line.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(texts) + '"'
