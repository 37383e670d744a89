"""Every use of a tensor that a trace recorded: who used it, who made it, and which tensor it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from gptrace.record import ModuleCall, Origin, TensorSpec, Trace

# A call, or with the number of an operation of it, that operation.
Place = tuple[int, int | None]
# The key of a tensor: its maker, and its number among the outputs of that; or the caller or a parameter.
TensorKey = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """A tensor that came into a call or an operation; with `leaves`, one that a call returned.

    A tensor whose parts have several writers is used several times, once from each writer.

    `maker` is the call or operation that made it; None where it came from the caller or is a parameter.
    `number` counts the inputs, or the outputs, of the user. `tensor` is the same for all uses of one tensor.
    """

    user: Place
    leaves: bool
    number: int
    maker: Place | None
    origin: Origin
    tensor: TensorKey
    spec: TensorSpec


class TensorUses:
    """The uses of a trace by the call that they are in, and by the call that made the tensor.

    A use whose maker is not known is not among them. `calls` are those of the trace, and `root_of` has the
    outermost call around each.
    """

    def __init__(self, trace: Trace) -> None:
        self.calls = trace.calls
        self.root_of = _roots(trace.calls)
        self._returned = _returned_tensors(trace.calls, self.root_of)
        self.of_call: list[list[Use]] = [list(self._uses_of(call)) for call in trace.calls]
        self.of_maker: list[list[Use]] = [[] for _ in trace.calls]
        for uses in self.of_call:
            for use in uses:
                if use.maker is not None:
                    self.of_maker[use.maker[0]].append(use)

    def tensor(self, call: int, origin: Origin) -> TensorKey | None:
        """Return the key of a tensor with this origin that a call uses; None if the origin is not known.

        A tensor that a call hands on is the one that was made inside of it, or before it.
        """
        key = _key(origin, self.root_of[call])
        return None if key is None else self.returned(key)

    def returned(self, key: TensorKey) -> TensorKey:
        """Return the key of the tensor itself, for one that a call returned."""
        return self._returned.get(key, key)

    def reaches_the_end(self, call: int) -> bool:
        """Tell whether an outermost call returns the first tensor that a call returned, or any made of it.

        Made of a tensor is all that an operation returns that takes it, or a call of whose inside nothing was
        recorded.
        """
        tensors = [self.returned((call, None, 0))]
        seen = set(tensors)
        for tensor in tensors:  # it grows meanwhile
            for use in self._of_tensor.get(tensor, ()):
                user, op = self.calls[use.user[0]], use.user[1]
                if use.leaves and user.parent is None:
                    return True
                outputs = user.outputs if op is None else user.ops[op].outputs
                # An operation that writes into a tensor may return nothing.
                made = [(*use.user, number) for number in range(len(outputs) or 1)]
                new = [] if use.leaves else [key for key in made if key not in seen]
                tensors += new
                seen.update(new)
        return False

    @cached_property
    def _of_tensor(self) -> Mapping[TensorKey, list[Use]]:
        by_tensor: dict[TensorKey, list[Use]] = {}
        for uses in self.of_call:
            for use in uses:
                by_tensor.setdefault(use.tensor, []).append(use)
        return by_tensor

    def _uses_of(self, call: ModuleCall) -> Iterator[Use]:
        yield from self._of_specs((call.index, None), call.inputs)
        for number, op in enumerate(call.ops):
            yield from self._of_specs((call.index, number), op.inputs)
        yield from self._of_specs((call.index, None), call.outputs, leaves=True)

    def _of_specs(self, user: Place, specs: Sequence[TensorSpec], *, leaves: bool = False) -> Iterator[Use]:
        for number, spec in enumerate(specs):
            for origin in () if spec.origin is None else (spec.origin, *spec.origin.also):
                if (tensor := self.tensor(user[0], origin)) is not None:
                    maker = None if origin.call is None else (origin.call, origin.op)
                    yield Use(user, leaves, number, maker, origin, tensor, spec)


def _roots(calls: Sequence[ModuleCall]) -> list[int]:
    """Return the outermost call around each call."""
    roots: list[int] = []
    for call in calls:
        roots.append(call.index if call.parent is None else roots[call.parent])
    return roots


def _key(origin: Origin, root: int) -> TensorKey | None:
    if origin.parameter is not None:
        return ("parameter", origin.parameter)
    if origin.input is not None:
        return ("input", root, origin.input)
    return None if origin.call is None else (origin.call, origin.op, origin.output or 0)


def _returned_tensors(calls: Sequence[ModuleCall], roots: Sequence[int]) -> dict[TensorKey, TensorKey]:
    """Return the key of the tensor itself for each tensor that a call returned: that of its first maker."""
    handed_on: dict[TensorKey, TensorKey] = {}
    for call in calls:
        for number, spec in enumerate(call.outputs):
            key = None if spec.origin is None else _key(spec.origin, roots[call.index])
            if key is not None:
                handed_on[call.index, None, number] = key
    for key in handed_on:
        passed, end = {key}, handed_on[key]
        while end in handed_on and end not in passed:
            passed.add(end)
            end = handed_on[end]
        handed_on.update(dict.fromkeys(passed - {end}, end))  # so that no chain is followed twice
    return handed_on
