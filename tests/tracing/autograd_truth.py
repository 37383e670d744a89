"""What autograd knows of a forward pass: which operations and parameters each operation took."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.record import OpCall, Origin, TensorSpec
from gptrace.tracing.operations import operation_name
from gptrace.tracing.tensors import find_tensors

Tensor = torch.Tensor
# An operation by its number in the whole pass, or a parameter by its path.
Maker = int | str
# Of some arguments only the shape or the dtype matters.
_ONE_ARGUMENT = {"expand_as", "view_as", "type_as", "reshape_as", "new_zeros", "zeros_like", "to"}


class AutogradSpy(torch.overrides.TorchFunctionMode):
    """Keeps the nodes of autograd that each operation made, and all tensors, so that no id is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.nodes: list[list[Any]] = []
        self.passed_on: set[int] = set()  # operations that returned an argument as it was
        self._kept: list[object] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = operation_name(func)
        with torch._C.DisableTorchFunction():
            before = [(tensor, tensor._version) for _, tensor in find_tensors("", (args, kwargs))]
        result = func(*args, **(kwargs or {}))
        with torch._C.DisableTorchFunction():
            outputs = [tensor for _, tensor in find_tensors("", args[0] if name == "setitem_" else result)]
            if name and outputs:
                self._note(name, outputs, before)
                self._kept += [args, kwargs, outputs]
        return result

    def _note(self, name: str, outputs: list[Tensor], before: list[tuple[Tensor, int]]) -> None:
        written = [tensor for tensor, version in before if tensor._version != version]
        if any(outputs[0] is tensor for tensor, _ in before) and not written:
            self.passed_on.add(len(self.names))
            outputs = []
        bases = [base for tensor in written if (base := tensor._base) is not None]
        self.names.append(name)
        nodes = [tensor.grad_fn for tensor in (*outputs, *written, *bases)]
        self.nodes.append([node for node in nodes if node is not None])


def makers_by_autograd(spy: AutogradSpy, module: torch.nn.Module) -> list[set[Maker]]:
    """Return of each operation which operations and parameters made what it took, as autograd recorded it."""
    paths = {id(parameter): path for path, parameter in module.named_parameters()}
    operation_of = {node: number for number, nodes in enumerate(spy.nodes) for node in nodes}
    return [set(_makers(nodes, number, operation_of, paths)) for number, nodes in enumerate(spy.nodes)]


def _makers(
    nodes: list[Any], number: int, operation_of: dict[Any, int], paths: dict[int, str]
) -> Iterator[Maker]:
    pending, seen = list(nodes), set()
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        maker = operation_of.get(node, number)
        if maker != number:
            yield maker
        elif hasattr(node, "variable"):
            if id(node.variable) in paths:
                yield paths[id(node.variable)]
        else:
            pending += [following for following, _ in node.next_functions]


def operations_in_order(trace: gptrace.Trace) -> list[tuple[tuple[int, int], OpCall]]:
    """Return all operations of a trace as they ran, each with the index of its call and its number there."""
    found = [((call.index, number), op) for call in trace.calls for number, op in enumerate(call.ops)]
    depth = {call.index: call.depth for call in trace.calls}
    # Between the begins of two calls, calls only end: what ran in the deeper one ran before.
    return sorted(found, key=lambda each: (each[1].place, -depth[each[0][0]], each[0][1]))


def makers_by_trace(trace: gptrace.Trace, spy: AutogradSpy) -> list[set[Maker]]:
    """Return the same as the trace has it, without what autograd does not know.

    These are operations that passed on an argument, and those without a gradient.
    """
    operations = operations_in_order(trace)
    assert [op.name for _, op in operations] == spy.names
    numbers = {key: number for number, (key, _) in enumerate(operations)}

    def makers(specs: Iterable[TensorSpec]) -> Iterator[Maker]:
        for spec in specs:
            for origin in (spec.origin, *spec.origin.also) if spec.origin is not None else ():
                yield from of_origin(origin)

    def of_origin(origin: Origin) -> Iterator[Maker]:
        if origin.parameter is not None:
            yield origin.parameter
        elif origin.op is not None and origin.call is not None:
            number = numbers[origin.call, origin.op]
            if number in spy.passed_on:
                yield from makers(operations[number][1].inputs[:1])
            elif spy.nodes[number]:
                yield number
        elif origin.call is not None:  # a module that handed on its input
            yield from makers(spec for spec in trace.calls[origin.call].outputs[:1])

    return [set(makers(op.inputs[:1] if op.name in _ONE_ARGUMENT else op.inputs)) for _, op in operations]


def differences(trace: gptrace.Trace, spy: AutogradSpy, module: torch.nn.Module) -> list[str]:
    """Return the operations of which autograd knows other makers than the trace.

    Autograd keeps one history for all views of a tensor that is written into. So a maker of the trace may
    be one of what autograd calls the maker.
    """
    truth, ours = makers_by_autograd(spy, module), makers_by_trace(trace, spy)
    trained = {path for path, parameter in module.named_parameters() if parameter.requires_grad}
    before: list[set[Maker]] = []
    found = []
    for number, (name, expected, got) in enumerate(zip(spy.names, truth, ours, strict=True)):
        ancestors = expected.union(*(before[maker] for maker in expected if isinstance(maker, int)))
        before.append(ancestors)
        if not spy.nodes[number]:
            continue
        got = {maker for maker in got if isinstance(maker, int) or maker in trained}
        if not expected <= got or not got <= ancestors:
            found.append(f"{number} {name}: autograd {expected}, trace {got}")
    return found
