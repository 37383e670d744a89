"""What torch.fx knows of a forward pass: which steps each step of it took, without running it for that."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.record import Origin, TensorSpec
from tests.tracing.autograd_truth import operations_in_order

Tensor = torch.Tensor
fx = torch.fx
# A step by its number and the number of its output, an argument by its name, or a parameter by its path.
Source = tuple[int, int] | str


class _Values(fx.Interpreter):
    """Runs a graph, and keeps what each node returned, so that nodes without tensors can be told."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.values: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        self.values[n] = super().run_node(n)
        return self.values[n]


def steps_by_fx(module: torch.nn.Module, *args: Tensor) -> list[tuple[str, set[Source]]]:
    """Return each step that makes a tensor, by its name, and what it took.

    A step is a call of a module of torch, or an operation outside of these.
    """
    traced = fx.symbolic_trace(module)
    interpreter = _Values(traced)
    interpreter.run(*args)
    source_of: dict[fx.Node, Source] = {}
    steps: list[tuple[str, set[Source]]] = []
    parameters = {id(each): name for name, each in (*module.named_parameters(), *module.named_buffers())}
    for node in traced.graph.nodes:
        value = interpreter.values[node]
        if node.op == "placeholder":
            source_of[node] = str(node.target)
        elif node.op == "get_attr":
            source_of[node] = parameters[id(value)]
        elif node.op == "output" or not _has_tensors(value):
            continue
        elif node.target is operator.getitem and isinstance(interpreter.values[node.args[0]], tuple | list):
            source_of[node] = source_of[node.args[0]][0], node.args[1]  # type: ignore[assignment]
        else:
            took = {source_of[each] for each in node.all_input_nodes if each in source_of}
            source_of[node] = len(steps), 0
            name = node.target if isinstance(node.target, str) else node.target.__name__
            steps.append((name if node.op == "call_module" else "", took))
    return steps


def _has_tensors(value: object) -> bool:
    return isinstance(value, Tensor) or (
        isinstance(value, tuple | list) and any(isinstance(item, Tensor) for item in value)
    )


def steps_by_trace(trace: gptrace.Trace, module: torch.nn.Module) -> list[tuple[str, set[Source]]]:
    """Return the same as the trace has it."""
    tracer = fx.Tracer()
    modules = dict(module.named_modules())
    leaves = {
        call.index: call
        for call in trace.calls
        if call.path and tracer.is_leaf_module(modules[call.path], call.path)
    }
    operations = [(key, op) for key, op in operations_in_order(trace) if key[0] not in leaves]
    # A module begins before the operations that ran when it was the next one had all run.
    order = sorted(
        [((call.index + 1, 0), call.path, call.inputs, (call.index, None)) for call in leaves.values()]
        + [((op.place, 1 + at), "", op.inputs, key) for at, (key, op) in enumerate(operations)],
        key=lambda step: step[0],
    )
    number: dict[tuple[int, int | None], int] = {key: at for at, (_, _, _, key) in enumerate(order)}

    def sources(specs: tuple[TensorSpec, ...]) -> Iterator[Source]:
        for spec in specs:
            for origin in (spec.origin, *spec.origin.also) if spec.origin is not None else ():
                yield of_origin(origin)

    def of_origin(origin: Origin) -> Source:
        if origin.call is None:
            return str(origin.input or origin.parameter)
        key = (origin.call, None) if origin.call in leaves else (origin.call, origin.op)
        return number[key], origin.output or 0

    return [(path, set(sources(specs))) for _, path, specs, _ in order]
