"""Traces made by hand: calls and operations in order, each with the tensors that it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from gptrace.record import (
    Buffers,
    ModelInfo,
    ModuleCall,
    OpCall,
    Origin,
    ParameterCount,
    ParameterTotals,
    TensorSpec,
    Totals,
    Trace,
)

SHAPE, DIMS = (1, 4, 48), ("batch", "seq_len", "emb_dim")


@dataclass
class Tensor:
    """A tensor, and who handed it out last."""

    origin: Origin | None
    shape: tuple[int, ...] = SHAPE
    dims: tuple[str, ...] = DIMS

    def spec(self, name: str) -> TensorSpec:
        return TensorSpec(name, self.shape, self.dims, "float32", "cpu", origin=self.origin)


def parameter(path: str) -> Tensor:
    return Tensor(Origin(parameter=path))


@dataclass
class OpenCall:
    """A call that is recorded; `outputs` are set before it ends."""

    index: int
    parent: OpenCall | None
    path: str
    inputs: tuple[TensorSpec, ...]
    outputs: Sequence[Tensor] = ()
    ops: list[OpCall] = field(default_factory=list)
    returned: tuple[TensorSpec, ...] = ()


class Recording:
    """Records calls in the way of gptrace.tracing, without tensors."""

    def __init__(self) -> None:
        self._calls: list[OpenCall] = []
        self._open: OpenCall | None = None

    def argument(self, name: str) -> Tensor:
        return Tensor(Origin(input=name))

    @contextmanager
    def call(self, path: str, *inputs: Tensor) -> Iterator[OpenCall]:
        names = [tensor.origin.input if tensor.origin and tensor.origin.input else "x" for tensor in inputs]
        specs = tuple(tensor.spec(name) for tensor, name in zip(inputs, names, strict=True))
        call = OpenCall(len(self._calls), self._open, path, specs)
        self._calls.append(call)
        self._open = call
        yield call
        self._open = call.parent
        call.returned = tuple(tensor.spec("output") for tensor in call.outputs)
        for number, tensor in enumerate(call.outputs):
            # Of the calls that return a tensor one after the other, the innermost has handed it out.
            origin = tensor.origin
            if origin is None or origin.call is None or origin.op is not None or origin.call < call.index:
                tensor.origin = Origin(call=call.index, output=number)

    def op(
        self, name: str, *inputs: Tensor, shape: tuple[int, ...] = SHAPE, dims: tuple[str, ...] = DIMS
    ) -> Tensor:
        call = self._open
        assert call is not None
        made = Tensor(Origin(call=call.index, op=len(call.ops), output=0), shape, dims)
        specs = tuple(tensor.spec("input") for tensor in inputs)
        call.ops.append(
            OpCall(name, len(self._calls), specs, (made.spec("output"),), False, name.endswith("_"), "m.py:1")
        )
        return made

    def leaf(self, path: str, *inputs: Tensor) -> Tensor:
        """Record the call of a module that is one operation, with a parameter."""
        with self.call(path, *inputs) as call:
            made = self.op("linear", *inputs, parameter(f"{path}.weight"))
            call.outputs = [made]
        return made

    def trace(self) -> Trace:
        counts: dict[str, int] = {}
        calls = []
        for call in self._calls:
            counts[call.path] = counts.get(call.path, 0) + 1
            depth, around = 0, call.parent
            while around is not None:
                depth, around = depth + 1, around.parent
            calls.append(
                ModuleCall(
                    call.index, call.parent.index if call.parent else None, depth, call.path, "Module",
                    counts[call.path], 1, call.inputs, call.returned, ParameterCount(0, 0, 0, 0), 0.0,
                    ops=tuple(call.ops),
                )
            )  # fmt: skip
        model = ModelInfo(
            name="m",
            class_name="Module",
            parameters=ParameterTotals(0, 0, 0, 0, ()),
            buffers=Buffers(0),
            dtype="float32",
            device="cpu",
        )
        return Trace({}, model, {}, (), (), tuple(calls), (), 1.0, (), Totals(len(calls), 0, 0.0), (), None)
