"""What one run of a model did: its operations in order, and the tensors that they took and made.

A value keeps its tensor as it was at that time, and the operations that made it: together they are the data
flow of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.places import Place

Tensor = torch.Tensor


class ValueKey(NamedTuple):
    """What a value has in common with that of another run: operation, side ("in", "out") and slot."""

    operation: tuple[object, ...]
    side: str
    slot: int


@dataclass(eq=False, slots=True)
class Value:
    """A tensor as it was when an operation took or made it.

    `producers` are the numbers of the operations that made it: none for an input or a constant, several
    where a later one wrote into it. `origin` is the name of the parameter or buffer that it is, or "".
    `maker` is the torch.autograd.Function that made it, which is no operation that can be seen. `kept` is the
    operation of the run before that made it, if it was kept since then.
    """

    key: ValueKey
    tensor: Tensor
    producers: tuple[int, ...] = ()
    origin: str = ""
    requires_grad: bool = False
    maker: type | None = None
    kept: RecordedOperation | None = None


def may_be_ids(value: Value) -> bool:
    """Tell whether a value may be the ids that were given: integers that no operation made."""
    return not value.producers and not value.origin and not value.tensor.is_floating_point()


@dataclass(eq=False, slots=True)
class RecordedOperation:
    """One call of one torch function, its place in the source and in the modules.

    `positional` and `named` are the arguments, with a Value in place of each tensor.
    """

    number: int
    key: tuple[object, ...]
    function: Callable[..., Any]
    name: str
    path: str
    place: Place
    inputs: tuple[Value, ...]
    positional: tuple[Any, ...]
    named: Mapping[str, Any]
    outputs: tuple[Value, ...] = ()

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """Return an argument, by its position or else by its name."""
        if position < len(self.positional):
            return self.positional[position]
        return self.named.get(name, default)

    def arguments(self, others: Mapping[ValueKey, Tensor] | None = None) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments with tensors: those of `others` by key, or else as they were."""

        def tensors_of(item: Any) -> Any:
            if isinstance(item, Value):
                return (others or {}).get(item.key, item.tensor)
            return tuple(map(tensors_of, item)) if isinstance(item, tuple) else item

        named = {name: tensors_of(item) for name, item in self.named.items()}
        return [tensors_of(item) for item in self.positional], named


@dataclass(eq=False)
class RecordedRun:
    """The operations of one run in order, the paths of the modules that were called, and what came out."""

    operations: list[RecordedOperation] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    places_of_calls: dict[str, Place] = field(default_factory=dict)
    # The parameters and buffers that were turned into numbers of Python, and where.
    left_torch: dict[str, Place] = field(default_factory=dict)
    # By path, which of its arguments a module got: not those that are None or False.
    given: dict[str, dict[str, bool]] = field(default_factory=dict)
    output: Any = None
    failed: RecordedOperation | None = None  # the last operation that raised
    logits: Value | None = None
    other_outputs: tuple[Value, ...] = ()  # with a gradient, where the check needs them

    def values_by_key(self) -> dict[ValueKey, Value]:
        """Return each value by what it has in common with that of another run."""
        return {value.key: value for value in self.values()}

    def values(self) -> Iterator[Value]:
        """Yield each value once: those that came from outside, then what each operation made."""
        seen: set[ValueKey] = set()
        for operation in self.operations:
            for value in (*operation.inputs, *operation.outputs):
                if value.key not in seen:
                    seen.add(value.key)
                    yield value

    def takers(self, value: Value) -> list[RecordedOperation]:
        """Return the operations that take a value."""
        return [operation for operation in self.operations if value in operation.inputs]

    def leads_to(self, operation: RecordedOperation, *values: Value) -> bool:
        """Tell whether one of the values is made of what an operation returned."""
        reached = {operation.number}
        for later in self.operations[operation.number + 1 :]:
            if any(reached.intersection(value.producers) for value in later.inputs):
                reached.add(later.number)
        return any(reached.intersection(value.producers) for value in values)

    def producers(self, value: Value) -> list[RecordedOperation]:
        """Return the operations that made a value, the last one first."""
        return [self.operations[number] for number in reversed(value.producers)]
