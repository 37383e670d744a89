"""Compares the edges of a graph with the origins in its trace, in another way than the graph was built."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from gptrace.record import Origin, TensorSpec, Trace
from gptrace.record.graph import Edge, Graph, Node


class Explanation:
    """`unexplained` has the recorded uses that no path of edges shows, `unfounded` the edges of no use."""

    def __init__(self, trace: Trace, graph: Graph) -> None:
        self._trace, self._graph = trace, graph
        self._nodes = {(node.call, node.op): node for node in graph.nodes if node.call is not None}
        self._sizes = _sizes(trace)
        self._leaving: defaultdict[int, list[Edge]] = defaultdict(list)
        for edge in graph.edges:
            self._leaving[edge.source].append(edge)
        self._walked: set[int] = set()
        self.uses = 0
        self.unexplained = [text for text in self._walk_all() if text]
        self.unfounded = [edge for edge in graph.edges if id(edge) not in self._walked]

    def _walk_all(self) -> Iterator[str]:
        for call in self._trace.calls:
            places: list[tuple[tuple[int, int | None], tuple[TensorSpec, ...], bool]] = [
                ((call.index, None), call.inputs, False),
                ((call.index, None), call.outputs, True),
            ]
            places += [((call.index, number), op.inputs, False) for number, op in enumerate(call.ops)]
            for place, specs, leaves in places:
                for spec in specs:
                    for origin in () if spec.origin is None else (spec.origin, *spec.origin.also):
                        yield self._walk(place, spec, origin, leaves=leaves)
        for node in self._graph.nodes:
            if node.kind == "output":  # what the outermost call returned
                assert self._paths([edge for edge in self._graph.edges if edge.target == node.id], node, None)

    def _walk(self, place: tuple[int, int | None], spec: TensorSpec, origin: Origin, *, leaves: bool) -> str:
        """Walk from the maker of a tensor to its user; return what is wrong, or nothing."""
        user = self._node(*place)
        starts = list(self._starts(origin, user, place[0]))
        if not starts:  # a parameter of a call that is one operation
            return "" if origin.parameter is not None else f"{place}: no node made {spec}"
        self.uses += 1
        if origin.op is None and origin.call is not None:
            maker = origin.call
            if maker <= place[0] < maker + self._sizes[maker]:
                return f"{place} is inside of the maker of {spec}"
        if leaves and user in starts:  # what a call of one operation returns
            return ""
        end = user.id if leaves else user.parent
        ways = [edge for start in starts for edge in self._leaving[start.id]]
        return "" if self._paths(ways, user, end) else f"{place} ({user.label}): no way for {spec}"

    def _paths(self, ways: list[Edge], user: Node, box: int | None) -> bool:
        """Walk along edges of one tensor until the user is reached in a box; note all edges of the way."""
        before: dict[int, Edge | None] = {id(edge): None for edge in ways if edge.source != edge.box}
        left = [edge for edge in ways if edge.source != edge.box]
        ends = []
        while left:
            edge = left.pop()
            if edge.target == user.id and edge.box == box:
                ends.append(edge)
            for further in self._leaving[edge.target]:
                inward = edge.target != edge.box and further.box == edge.target
                outward = edge.target == edge.box and further.box == self._graph.nodes[edge.target].parent
                # From one of equal blocks to the next, the tensor that enters is another one.
                same = further.tensor == edge.tensor or edge.source == edge.target != edge.box
                if (inward or outward) and same and id(further) not in before:
                    before[id(further)] = edge
                    left.append(further)
        for end in ends:
            step: Edge | None = end
            while step is not None:
                self._walked.add(id(step))
                step = before[id(step)]
        return bool(ends)

    def _starts(self, origin: Origin, user: Node, call: int) -> Iterator[Node]:
        if origin.call is not None:
            yield self._node(origin.call, origin.op)
            return
        for node in self._graph.nodes:
            if origin.input is not None and node.kind == "input" and node.label == origin.input:
                yield node
            if origin.parameter is None or node.kind != "parameter":
                continue
            box = self._graph.nodes[node.parent] if node.parent is not None else None
            path = self._trace.calls[box.call].path if box is not None and box.call is not None else ""
            names = {node.label, f"{path}.{node.label}" if path else node.label}
            if self._in_first_block(origin.parameter, call, user) in names and node.parent in (
                user.id,
                user.parent,
            ):
                yield node

    def _in_first_block(self, parameter: str, call: int, user: Node) -> str:
        """Return the path of the parameter of the first of equal blocks that stands for this one."""
        assert user.call is not None
        paths = (parameter, self._trace.calls[call].path, self._trace.calls[user.call].path)
        own, here, shown = (path.split(".") for path in paths)
        for number, (one, other) in enumerate(zip(here, shown, strict=True)):
            if one != other and own[: number + 1] == here[: number + 1]:
                own[number] = other
                here = [*here[:number], other, *here[number + 1 :]]
        return ".".join(own)

    def _node(self, call: int, op: int | None) -> Node:
        """Return the node of a call or an operation: of a further block, that in the first one."""
        while (call, None) not in self._nodes:
            around = next(
                (node.layers[0], layer)
                for node in self._graph.nodes
                for layer in node.layers[1:]
                if layer <= call < layer + self._sizes[layer]
            )
            call += around[0] - around[1]
        return self._nodes.get((call, op), self._nodes[call, None])


def _sizes(trace: Trace) -> list[int]:
    sizes = [1] * len(trace.calls)
    for call in reversed(trace.calls):
        if call.parent is not None:
            sizes[call.parent] += sizes[call.index]
    return sizes
