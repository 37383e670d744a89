"""What a picture of a trace shows: which boxes are open, and the arrows between what is then to be seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from gptrace.graph import graph_of
from gptrace.record import Trace
from gptrace.record.graph import Edge, Graph, Node
from gptrace.report.view import View

# Boxes of a model without equal blocks are opened as long as a picture has at most so many nodes.
_NODES = 24


@dataclass(frozen=True, slots=True)
class Arrow:
    """A tensor on its way from one node to another that can be seen.

    `source` and `target` are ids of nodes. An arrow ends at an open box where nothing says what in it makes
    or takes the tensor. A tensor that leaves a box and is used nowhere has no arrow.
    """

    source: int
    target: int
    edge: Edge


@dataclass(frozen=True, slots=True)
class Scene:
    """A graph, the ids of its open boxes, and the nodes that can be seen, a box before what it contains.

    `closed` counts the boxes that were to be open, and are not: there would be too much to see.
    """

    trace: Trace
    graph: Graph
    open: frozenset[int]
    nodes: tuple[Node, ...]
    closed: int = 0

    def type_of(self, node: Node) -> str:
        """Return the class of a module, or nothing."""
        return self.trace.calls[node.call].type if node.kind == "module" and node.call is not None else ""

    def depth_of(self, box: int) -> int:
        """Return how many calls are around that of a box."""
        call = self.graph.nodes[box].call
        return 0 if call is None else self.trace.calls[call].depth

    def arrows(self) -> list[Arrow]:
        """Return the arrows, each tensor from its maker to its users, through the borders of open boxes."""
        return list(_Arrows(self).all())


def scene_of(trace: Trace, view: View) -> Scene:
    """Return the scene of a trace: as deep as the view says, or else with the first of equal blocks open."""
    graph = graph_of(trace, fold=not view.full)
    inside: defaultdict[int | None, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        inside[node.parent].append(node)
    boxes = [node for node in graph.nodes if node.id in inside]
    if view.depth is not None:
        depths = {node.id: trace.calls[node.call].depth for node in boxes if node.call is not None}
        opened = {box for box, depth in depths.items() if depth < view.depth}
    elif any(node.layers for node in boxes):
        opened = _around_blocks(graph.nodes, {node.id for node in boxes})
    else:
        opened = _while_small(boxes, inside)
    return _with_open(trace, graph, opened)


def shallower(scene: Scene) -> Scene:
    """Return a scene with the deepest of its open boxes closed."""
    deepest = max(map(scene.depth_of, scene.open))
    kept = {box for box in scene.open if scene.depth_of(box) < deepest}
    closed = scene.closed + len(scene.open) - len(kept)
    return replace(_with_open(scene.trace, scene.graph, kept), closed=closed)


def _with_open(trace: Trace, graph: Graph, opened: Collection[int]) -> Scene:
    """Return the scene of a graph with these boxes open, as far as those around them are open."""
    seen = {None} | {node.id for node in graph.nodes if node.id in opened}
    shown: list[Node] = []
    for node in graph.nodes:  # a box stands before what it contains
        if node.parent in seen:
            shown.append(node)
        else:
            seen.discard(node.id)
    return Scene(trace, graph, frozenset(node.id for node in shown if node.id in seen), tuple(shown))


def _around_blocks(nodes: tuple[Node, ...], boxes: set[int]) -> set[int]:
    """Return the outermost boxes that stand for equal blocks, and all boxes around them."""
    opened: set[int] = set()
    for node in nodes:
        around = list(_boxes_around(node, nodes))
        if node.layers and node.id in boxes and not any(nodes[box].layers for box in around):
            opened.update(around, [node.id])
    return opened


def _boxes_around(node: Node, nodes: tuple[Node, ...]) -> Iterator[int]:
    while node.parent is not None:
        yield node.parent
        node = nodes[node.parent]


def _while_small(boxes: list[Node], inside: dict[int | None, list[Node]]) -> set[int]:
    """Return the boxes to open, outer ones first, while few nodes can be seen; those of the model always."""
    opened = {box.id for box in boxes if box.parent is None}
    count = len(inside[None]) + sum(len(inside[box]) for box in opened)
    left = [box for box in boxes if box.parent in opened]
    while left and count + len(inside[left[0].id]) - 1 <= _NODES:
        box = left.pop(0)
        opened.add(box.id)
        count += len(inside[box.id]) - 1
        left += [inner for inner in inside[box.id] if inner.id in inside]
    return opened


class _Arrows:
    """Joins the edges of each tensor at the borders of the open boxes."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._edges = [edge for edge in scene.graph.edges if edge.box is None or edge.box in scene.open]
        self._leaving: defaultdict[tuple[int | None, int, int], list[Edge]] = defaultdict(list)
        for edge in self._edges:
            self._leaving[edge.box, edge.source, edge.tensor].append(edge)
        self._arriving = {(edge.box, edge.target, edge.tensor) for edge in self._edges}

    def all(self) -> Iterator[Arrow]:
        """Yield each arrow once, in order of the edges that they begin with."""
        seen = set()
        for edge in self._edges:
            if self._begins(edge):
                for last in self._ends(edge):
                    key = (edge.source, last.target, edge.tensor)
                    if key not in seen:
                        seen.add(key)
                        yield Arrow(edge.source, last.target, last)

    def _begins(self, edge: Edge) -> bool:
        """Tell whether no edge brings the tensor to where this one begins."""
        if edge.source == edge.target and edge.source in self._scene.open:
            return False  # from one of equal blocks to the next: the name of the open box says so
        return edge.source not in self._scene.open or (
            edge.source != edge.box and (edge.source, edge.source, edge.tensor) not in self._arriving
        )

    def _ends(self, edge: Edge) -> Iterator[Edge]:
        """Yield the edges on which a tensor ends its way, of those that follow this one."""
        seen, left = {id(edge)}, [edge]
        while left:
            edge = left.pop()
            further: list[Edge] = []
            if edge.target == edge.box:  # out of the box
                further = self._leaving[self._scene.graph.nodes[edge.target].parent, edge.target, edge.tensor]
            elif edge.target in self._scene.open:
                further = self._leaving[edge.target, edge.target, edge.tensor]
            ways = [one for one in further if one.source != one.target or one.box == one.source]
            if not ways and edge.target != edge.box:
                yield edge
            for one in reversed(ways):
                if id(one) not in seen:
                    seen.add(id(one))
                    left.append(one)
