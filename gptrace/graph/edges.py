"""The edges of a graph: each use of a tensor, lifted to the boxes on the way from its maker to its user."""

from __future__ import annotations

from gptrace.graph.folding import Folds
from gptrace.graph.nodes import GraphNodes
from gptrace.graph.uses import TensorKey, TensorUses, Use
from gptrace.record import ModuleCall, TensorSpec, Trace
from gptrace.record.graph import Edge

# The box, the source and the target of an edge, and the tensor.
_Edge = tuple[int | None, int, int, TensorKey]


class GraphEdges:
    """The edges of a trace, each once, by box and then by target."""

    def __init__(self, trace: Trace, nodes: GraphNodes, folds: Folds, uses: TensorUses) -> None:
        self._specs: dict[_Edge, TensorSpec] = {}
        self._nodes, self._folds, self._uses = nodes, folds, uses
        # The tensors that each box takes as inputs and gives as outputs, with known origins.
        self._takes: set[tuple[int, TensorKey]] = set()
        self._gives: set[tuple[int, TensorKey]] = set()
        self._note_borders(trace)
        roots: list[ModuleCall] = []
        for call in trace.calls:
            if folds.shown_as[call.index] != call.index:
                continue
            if call.parent is None:
                self._add_arguments(call)
                roots.append(call)
            for use in uses.of_call[call.index]:
                self._add_use(use)
            if call.index in folds.layers:
                self._add_chain(*folds.layers[call.index][:2])
        for root in roots:
            self._add_results(root)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The edges; tensors are numbered in the order of these."""
        tensors: dict[TensorKey, int] = {}
        return tuple(
            Edge(
                box,
                source,
                target,
                spec.shape,
                spec.dims,
                tensors.setdefault(key, len(tensors)),
                spec.split_by,
            )
            for (box, source, target, key), spec in sorted(self._specs.items(), key=_in_reading_order)
        )

    def _note_borders(self, trace: Trace) -> None:
        for call in trace.calls:
            if self._folds.shown_as[call.index] == call.index:
                box = self._nodes.at((call.index, None))
                for use in self._uses.of_call[call.index]:
                    if use.user[1] is None:
                        (self._gives if use.leaves else self._takes).add(
                            (box, self._folds.tensor(use.tensor))
                        )

    def _add_arguments(self, root: ModuleCall) -> None:
        """Add the arguments of the outermost call: its inputs that nothing in the trace made."""
        for spec in root.inputs:
            source = self._nodes.of_input.get((root.index, spec.name))
            if source is not None and spec.origin is None:
                key = ("input", root.index, spec.name)
                self._add_path(source, self._nodes.at((root.index, None)), key, spec)

    def _add_results(self, root: ModuleCall) -> None:
        for number, spec in enumerate(root.outputs):
            target = self._nodes.of_output[root.index, number]
            key = self._uses.returned((root.index, None, number))
            self._add_path(self._nodes.at((root.index, None)), target, key, spec)

    def _add_use(self, use: Use) -> None:
        user = self._nodes.at(use.user)
        source = self._source(use, user)
        if source is not None:
            self._add_path(source, user, use.tensor, use.spec, leaves=use.leaves)

    def _source(self, use: Use, user: int) -> int | None:
        """Return the node that a tensor comes from; None for a parameter of a call that is one operation."""
        if use.maker is not None:
            return self._nodes.at(use.maker)
        if use.origin.input is not None:
            return self._nodes.of_input[self._uses.root_of[use.user[0]], use.origin.input]
        box = user if use.leaves else self._nodes.nodes[user].parent
        return self._nodes.of_parameter.get((box, str(use.origin.parameter)))

    def _add_chain(self, first: int, second: int) -> None:
        """Add an edge from equal blocks to themselves, for each tensor that a block takes from the last."""
        node = self._nodes.at((first, None))
        for call in range(second, second + second - first):
            for use in self._uses.of_call[call]:
                if use.maker is not None and first <= use.maker[0] < second:
                    edge = (self._nodes.nodes[node].parent, node, node, self._folds.tensor(use.tensor))
                    self._specs.setdefault(edge, use.spec)

    def _add_path(
        self, source: int, target: int, key: TensorKey, spec: TensorSpec, *, leaves: bool = False
    ) -> None:
        """Add the edges from box to box: out of the boxes around the source, and into those of the target.

        Where a box gives the tensor as an output, the edges inside of it are those of that output, and where
        it takes the tensor as an input, the edges outside of it are those of that input.
        """
        outward = self._boxes_around(source)
        inward = ([target] if leaves else []) + self._boxes_around(target)
        if source in inward or (target in outward and not leaves):
            return  # a call that still runs has made nothing yet
        shared = 0
        while shared < min(len(outward), len(inward)) and outward[-1 - shared] == inward[-1 - shared]:
            shared += 1
        around = outward[-shared] if shared else None
        outward, inward = outward[: len(outward) - shared], inward[: len(inward) - shared]
        tensor = self._folds.tensor(key)
        way: list[tuple[int | None, int, int]] = []
        node = source
        for box in outward:
            way = [] if (box, tensor) in self._gives else [*way, (box, node, box)]
            node = box
        for box in reversed(inward):
            way = [] if (box, tensor) in self._takes else [*way, (around, node, box)]
            node = around = box
        for edge in [*way, (around, node, target)]:
            self._specs.setdefault((*edge, tensor), spec)

    def _boxes_around(self, node: int) -> list[int]:
        boxes = []
        box = self._nodes.nodes[node].parent
        while box is not None:
            boxes.append(box)
            box = self._nodes.nodes[box].parent
        return boxes


def _in_reading_order(item: tuple[_Edge, TensorSpec]) -> tuple[int, bool, int]:
    """Order edges by box, then by target, with outputs of the box last; arguments keep their order."""
    box, _, target, _ = item[0]
    return (-1 if box is None else box), target == box, target
