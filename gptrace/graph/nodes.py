"""The nodes of a graph, in order of execution, and where to find them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from gptrace.graph.call_tree import CallTree, label, run_label
from gptrace.graph.folding import Folds
from gptrace.graph.uses import Place, TensorUses
from gptrace.record import ModuleCall, Trace
from gptrace.record.graph import Node


class GraphNodes:
    """The nodes of a trace.

    A call that is one operation, as of nn.Linear, is one node; the operation and its parameters have none.
    """

    def __init__(self, trace: Trace, tree: CallTree, folds: Folds, uses: TensorUses) -> None:
        self.nodes: list[Node] = []
        self.of_input: dict[tuple[int, str], int] = {}
        self.of_output: dict[tuple[int, int], int] = {}
        self.of_parameter: dict[tuple[int | None, str], int] = {}
        self._of_call: dict[int, int] = {}
        self._of_op: dict[tuple[int, int], int] = {}
        self._calls, self._tree, self._folds = trace.calls, tree, folds
        self._parameters: dict[Place, list[str]] = {}
        self._inputs: dict[int, dict[str, None]] = {}
        for use in (use for of_call in uses.of_call for use in of_call):
            if use.origin.parameter is not None and not use.leaves:
                self._parameters.setdefault(use.user, []).append(use.origin.parameter)
            elif use.origin.input is not None:
                self._inputs.setdefault(uses.root_of[use.user[0]], {})[use.origin.input] = None
        for root in tree.children.get(None, []):
            self._add_root(root)

    def at(self, place: Place) -> int:
        """Return the node where a call or an operation is shown."""
        call, op = self._folds.place(place)
        return self._of_call[call] if op is None else self._of_op.get((call, op), self._of_call[call])

    def _add_root(self, root: ModuleCall) -> None:
        names = {spec.name: None for spec in root.inputs if spec.origin is None}
        for name in names | self._inputs.get(root.index, {}):
            self.of_input[root.index, name] = self._add("input", name)
        # The last is the next to add. No recursion, since modules may be nested deep.
        left: list[Place] = [(root.index, None)]
        while left:
            index, op = left.pop()
            self._add_parameters((index, op))
            if op is not None:
                self._add_op(index, op)
            else:
                self._add_call(self._calls[index])
                left += reversed(list(self._entries(self._calls[index])))
        for number, spec in enumerate(root.outputs):
            self.of_output[root.index, number] = self._add("output", spec.name)

    def _entries(self, call: ModuleCall) -> Iterator[Place]:
        """Yield the calls and operations that a call made, in order of execution."""
        children = self._tree.below(call)
        if not children and len(call.ops) == 1 and not call.ops[0].failed:
            return
        op = 0
        for child in children:
            while op < len(call.ops) and call.ops[op].place <= child.index:
                yield call.index, op
                op += 1
            if self._folds.shown_as[child.index] == child.index:
                yield child.index, None
        for rest in range(op, len(call.ops)):
            yield call.index, rest

    def _add_call(self, call: ModuleCall) -> None:
        parent = None if call.parent is None else self._calls[call.parent]
        layers = self._folds.layers.get(call.index, ())
        name = run_label([self._calls[layer] for layer in layers], parent) if layers else label(call, parent)
        box = None if call.parent is None else self._of_call[call.parent]
        self._of_call[call.index] = self._add("module", name, box, call=call.index, layers=layers)

    def _add_op(self, call: int, op: int) -> None:
        name, box = self._calls[call].ops[op].name, self._of_call[call]
        self._of_op[call, op] = self._add("operation", name, box, call=call, op=op)

    def _add_parameters(self, place: Place) -> None:
        """Add the parameters that a call or an operation uses, in the box that it stands in."""
        around = place[0] if place[1] is not None else self._calls[place[0]].parent
        box = None if around is None else self._of_call[around]
        path = "" if around is None else self._calls[around].path
        for parameter in self._parameters.get(place, ()):
            if (box, parameter) not in self.of_parameter:
                name = parameter.removeprefix(path + ".") if path else parameter
                self.of_parameter[box, parameter] = self._add("parameter", name, box)

    def _add(
        self,
        kind: Literal["module", "operation", "input", "output", "parameter"],
        name: str,
        parent: int | None = None,
        *,
        call: int | None = None,
        op: int | None = None,
        layers: tuple[int, ...] = (),
    ) -> int:
        self.nodes.append(Node(len(self.nodes), parent, kind, name, call, op, layers))
        return len(self.nodes) - 1
