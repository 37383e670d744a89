"""A scene → Mermaid text, as GitHub and JupyterLab show it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gptrace.record.graph import Node
from gptrace.report.pictures.heading import remarks_on
from gptrace.report.pictures.labels import edge_lines, has_tokens_axis, node_lines, title_lines
from gptrace.report.pictures.scene import Scene, shallower
from gptrace.translation import in_language

# Beyond these, Mermaid shows an error instead of a picture (maxEdges and maxTextSize).
_EDGES = 500
_CHARACTERS = 50_000
_SHAPES = {"module": '["{}"]', "operation": '(["{}"])', "input": '(["{}"])', "output": '(["{}"])',
           "parameter": '[/"{}"/]'}  # fmt: skip
# Colours with their own text colour, so that they can be read on a light and on a dark page.
_HEAD = """\
---
title: "{}"
config:
  flowchart:
    subGraphTitleMargin:
      bottom: 20
---
flowchart TD"""
_CLASSES = """\
classDef module fill:#e8eefb,stroke:#1b57c4,color:#1a1f26
classDef blocks fill:#d3e0fa,stroke:#1b57c4,color:#1a1f26,stroke-width:3px
classDef operation fill:#eef1f5,stroke:#8b95a5,color:#1a1f26
classDef input fill:#ffffff,stroke:#576070,color:#1a1f26
classDef output fill:#ffffff,stroke:#576070,color:#1a1f26
classDef parameter fill:#fdf0d5,stroke:#7d5300,color:#1a1f26
classDef box fill:#8b95a522,stroke:#8b95a5
"""
_TOKENS_STYLE = "stroke:#b0206a,stroke-width:4px"
# Characters that mean nothing to Mermaid, nor to the Markdown that its labels may hold.
_PLAIN = re.compile(r"[\w ,()×–→…·]")


def to_mermaid(scene: Scene, language: str) -> str:
    """Return a flowchart; boxes are closed, deep ones first, until it is within the limits of Mermaid."""
    while True:
        text, count = _flowchart(scene, language)
        if not scene.open or (count <= _EDGES and len(text) <= _CHARACTERS):
            return text
        scene = shallower(scene)


def mermaid_in_encoding(text: str, encoding: str) -> str:
    """Write the characters that an encoding lacks as escapes of YAML in the head, and as entities below."""
    head, start, body = text.partition("\nflowchart TD\n")
    entities = body.encode(encoding, "xmlcharrefreplace").decode(encoding).replace("&#", "#")
    return head.encode(encoding, "backslashreplace").decode(encoding) + start + entities


def _flowchart(scene: Scene, language: str) -> tuple[str, int]:
    """Return the text, and the number of arrows in it."""
    arrows = scene.arrows()
    remarks = (in_language(remark, language) for remark in remarks_on(scene))
    title = _yaml(". ".join([": ".join(title_lines(scene)), *remarks]))
    lines = [_HEAD.format(title), *_nodes(scene)]
    labelled = set()
    for arrow in arrows:
        label = "" if arrow.edge.tensor in labelled else f'|"{_label(edge_lines(scene, arrow.edge))}"|'
        labelled.add(arrow.edge.tensor)
        lines.append(f"n{arrow.source} -->{label} n{arrow.target}")
    marked = [str(number) for number, arrow in enumerate(arrows) if has_tokens_axis(arrow.edge)]
    lines += [f"linkStyle {','.join(marked)} {_TOKENS_STYLE}"] * bool(marked)
    return "\n".join(lines) + "\n" + _CLASSES, len(arrows)


def _nodes(scene: Scene) -> Iterator[str]:
    ends: list[int] = []  # of the open boxes, innermost last
    for node in scene.nodes:
        while ends and node.parent != ends[-1]:
            ends.pop()
            yield "end"
        if node.id in scene.open:
            yield f'subgraph n{node.id}["{_escaped(" · ".join(node_lines(scene, node)))}"]'
            ends.append(node.id)
        else:
            yield f"n{node.id}{_SHAPES[node.kind].format(_label(node_lines(scene, node)))}:::{_class(node)}"
    yield from ("end" for _ in ends)
    if scene.open:
        yield f"class {','.join(f'n{box}' for box in sorted(scene.open))} box"


def _class(node: Node) -> str:
    return "blocks" if node.layers else node.kind


def _label(lines: list[str]) -> str:
    return "<br/>".join(map(_escaped, lines))


def _yaml(text: str) -> str:
    """Write the inside of a quoted string of YAML, without characters that Mermaid reads before the YAML."""
    return "".join(one if _PLAIN.match(one) or one in ".:;" else f"\\U{ord(one):08x}" for one in text)


def _escaped(text: str) -> str:
    """Write every character that could be syntax as an entity.

    >>> _escaped('h.0 "end"')
    'h#46;0 #34;end#34;'
    """
    return "".join(one if _PLAIN.match(one) else f"#{ord(one)};" for one in text)
