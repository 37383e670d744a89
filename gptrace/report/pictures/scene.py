"""The contents of a picture of a trace: the open boxes, and the arrows between the nodes that are visible."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from msgspec.structs import replace as replace_fields

from gptrace.graph import graph_of
from gptrace.record import ModuleCall, Trace
from gptrace.record.graph import Edge, Graph, Node
from gptrace.report.call_rows import matching_calls
from gptrace.report.view import View

# Boxes of a model without equal blocks are opened as long as a picture has at most so many nodes.
_NODES = 24
# Inputs, and outputs, that a picture shows.
_ENDS = 4


@dataclass(frozen=True, slots=True)
class Arrow:
    """A tensor on its way from one node to another that can be seen.

    `source` and `target` are ids of nodes. An arrow ends at an open box if the node in it that makes or takes
    the tensor is not known. A tensor that leaves a box and is used nowhere has no arrow.
    """

    source: int
    target: int
    edge: Edge


@dataclass(frozen=True, slots=True)
class Scene:
    """A graph, the ids of its open boxes, and the nodes that can be seen, a box before what it contains.

    `closed` counts the boxes that were to be open, and are not: the picture would be too large.
    """

    trace: Trace
    graph: Graph
    open: frozenset[int]
    nodes: tuple[Node, ...]
    closed: int = 0
    # The index of the call that the picture is of; None is the whole trace.
    call: int | None = None
    # The names of inputs and outputs that would crowd the picture.
    left_out: tuple[str, ...] = ()

    def type_of(self, node: Node) -> str:
        """Return the class of a module, or nothing."""
        return self.trace.calls[node.call].type if node.kind == "module" and node.call is not None else ""

    def blocks_in(self, node: Node) -> Node | None:
        """Return the equal blocks that are all that a box holds."""
        following = self.graph.nodes[node.id + 1 :]
        first = following[0] if following else None  # a box stands before what it contains
        if first is None or first.parent != node.id or not first.layers:
            return None
        return None if any(other.parent == node.id for other in following[1:]) else first

    def depth_of(self, box: int) -> int:
        """Return how many calls are around that of a box."""
        call = self.graph.nodes[box].call
        return 0 if call is None else self.trace.calls[call].depth

    def arrows(self) -> list[Arrow]:
        """Return the arrows, each tensor from its maker to its users, through the borders of open boxes."""
        return list(_Arrows(self).all())


def scene_of(trace: Trace, view: View) -> Scene:
    """Return the scene of a trace: as deep as the view says, or else with the first of equal blocks open."""
    if view.only is not None:
        return _scene_of_call(trace, view, matching_calls(trace.calls, view.only)[0])
    graph, left_out = _with_few_ends(graph_of(trace, fold=not view.full))
    inside = _inside(graph)
    if view.depth is not None:
        depths = {node.id: trace.calls[node.call].depth for node in graph.nodes if node.call is not None}
        opened = {box for box, depth in depths.items() if depth < view.depth and box in inside}
    elif blocks := _blocks(graph):
        opened = {*blocks, *(box for block in blocks for box in _boxes_around(block, graph))}
    else:
        opened = _while_small(graph)
    return replace(with_open(trace, graph, opened), left_out=left_out)


def _with_few_ends(graph: Graph) -> tuple[Graph, tuple[str, ...]]:
    """Return a graph without inputs and outputs that would crowd it, and their names: a cache has dozens."""
    left_out = {
        end.id
        for kind in ("input", "output")
        for end in [node for node in graph.nodes if node.kind == kind][_ENDS:]
    }
    if not left_out:
        return graph, ()
    # The tensor of an input is left out everywhere; that of an output only where nothing else takes it.
    brought = {edge.tensor for edge in graph.edges if edge.source in left_out}
    edges = [edge for edge in graph.edges if edge.tensor not in brought and edge.target not in left_out]
    taken = {edge.tensor for edge in graph.edges if edge.target in left_out}
    while True:
        going_on = {(edge.box, edge.source, edge.tensor) for edge in edges}
        kept = [
            edge
            for edge in edges
            if edge.tensor not in taken
            or edge.target != edge.box
            or (graph.nodes[edge.target].parent, edge.target, edge.tensor) in going_on
        ]
        if len(kept) == len(edges):
            break
        edges = kept
    nodes = {node.id for node in graph.nodes} - left_out
    return _part(graph, nodes, edges)[0], tuple(graph.nodes[end].label for end in sorted(left_out))


def _scene_of_call(trace: Trace, view: View, call: ModuleCall) -> Scene:
    """Return the scene of one call, with what is in it."""
    graph = graph_of(trace, fold=not view.full)
    numbers = {node.call: node.id for node in graph.nodes if node.kind == "module"}
    if call.index not in numbers:  # in a further one of equal blocks
        graph = graph_of(trace, fold=False)
        numbers = {node.call: node.id for node in graph.nodes if node.kind == "module"}
    box = numbers[call.index]
    whole = with_open(trace, graph, {node.id for node in graph.nodes})
    scene = _alone(whole, box)
    if view.depth is None:
        opened = _while_small(scene.graph)
    else:
        opened = {box for box in scene.open if scene.depth_of(box) < call.depth + view.depth}
    return replace(with_open(trace, scene.graph, opened & scene.open), call=call.index)


def with_open(trace: Trace, graph: Graph, opened: Collection[int]) -> Scene:
    """Return the scene of a graph with these boxes open, as far as those around them are open."""
    seen = {None} | {node.id for node in graph.nodes if node.id in opened}
    shown: list[Node] = []
    for node in graph.nodes:  # a box stands before what it contains
        if node.parent in seen:
            shown.append(node)
        else:
            seen.discard(node.id)
    return Scene(trace, graph, frozenset(node.id for node in shown if node.id in seen), tuple(shown))


def shallower(scene: Scene) -> Scene:
    """Return a scene with the deepest of its open boxes closed."""
    deepest = max(map(scene.depth_of, scene.open))
    kept = {box for box in scene.open if scene.depth_of(box) < deepest}
    closed = scene.closed + len(scene.open) - len(kept)
    return replace(
        with_open(scene.trace, scene.graph, kept), closed=closed, call=scene.call, left_out=scene.left_out
    )


def with_blocks_apart(scene: Scene) -> list[Scene]:
    """Return the scene with its equal blocks closed, and then what is in each of these.

    A box that holds nothing but equal blocks is closed, too: its name says what is in it.
    """
    graph, inside = scene.graph, _inside(scene.graph)
    blocks = [block for block in _blocks(graph) if block in scene.open]
    closed = {*blocks}
    for block in blocks:
        box = graph.nodes[block].parent
        if box is not None and len(inside[box]) == 1:
            closed.add(box)
    outer = with_open(scene.trace, graph, scene.open - closed)
    return [outer, *(_alone(scene, block) for block in blocks)]


def _alone(scene: Scene, box: int) -> Scene:
    """Return the scene of one box and what is in it."""
    kept = {box}
    for node in scene.graph.nodes[box + 1 :]:
        if node.parent in kept:
            kept.add(node.id)
    graph, numbers = _part(scene.graph, kept, (edge for edge in scene.graph.edges if edge.box in kept))
    return with_open(scene.trace, graph, {numbers[opened] for opened in scene.open if opened in numbers})


def _part(graph: Graph, kept: Collection[int], edges: Iterable[Edge]) -> tuple[Graph, dict[int, int]]:
    """Return the nodes of `kept` with these edges, and the new id of each node."""
    numbers = {old: new for new, old in enumerate(sorted(kept))}
    nodes = (
        replace_fields(
            node, id=numbers[node.id], parent=None if node.parent is None else numbers.get(node.parent)
        )
        for node in graph.nodes
        if node.id in numbers
    )
    moved = (
        replace_fields(
            edge,
            box=None if edge.box is None else numbers[edge.box],
            source=numbers[edge.source],
            target=numbers[edge.target],
        )
        for edge in edges
    )
    return Graph(tuple(nodes), tuple(moved)), numbers


def _inside(graph: Graph) -> dict[int | None, list[Node]]:
    inside: dict[int | None, list[Node]] = {}
    for node in graph.nodes:
        inside.setdefault(node.parent, []).append(node)
    return inside


def _blocks(graph: Graph) -> list[int]:
    """Return the outermost boxes that stand for equal blocks and have something in them."""
    inside = _inside(graph)
    return [
        node.id
        for node in graph.nodes
        if node.layers
        and node.id in inside
        and not any(graph.nodes[box].layers for box in _boxes_around(node.id, graph))
    ]


def _boxes_around(node: int, graph: Graph) -> Iterator[int]:
    box = graph.nodes[node].parent
    while box is not None:
        yield box
        box = graph.nodes[box].parent


def _while_small(graph: Graph) -> set[int]:
    """Return the boxes to open, outer ones first, while few nodes can be seen; those of the model always."""
    inside = _inside(graph)
    opened = {node.id for node in inside.get(None, []) if node.id in inside}
    count = len(inside.get(None, [])) + sum(len(inside[box]) for box in opened)
    left = [node.id for box in opened for node in inside[box] if node.id in inside]
    while left and count + len(inside[left[0]]) - 1 <= _NODES:
        box = left.pop(0)
        opened.add(box)
        count += len(inside[box]) - 1
        left += [node.id for node in inside[box] if node.id in inside]
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
