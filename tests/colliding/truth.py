"""What an axis follows, measured from outside: build the model again with one size changed, and look."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import gptrace
from gptrace.measures import Measures
from gptrace.model.quiet_torch import torch
from gptrace.tracing.recorder import SpanRecorder

Sizes = dict[str, int]
# A tensor: path and number of the call, position of the operation in it (-1: none), side, name.
Tensor = tuple[str, int, int, str, str]


@dataclass
class Case:
    """A model whose sizes collide.

    name    what it is, for reports
    trace   returns its trace, with operations, for these ids
    build   returns a new model with these sizes, whatever gptrace does
    after   returns all sizes that a name may stand for, given the sizes that `build` gets
    sizes   those of the configuration that may be changed alone
    """

    name: str
    trace: Callable[[Any], gptrace.Trace]
    build: Callable[[Sizes], Any]
    after: Callable[[Sizes], Sizes]
    sizes: Sizes
    batch: int
    seq_len: int
    vocabulary: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass
class Verdict:
    """How many axes there are, how many have a name, how many of these moved, and which are wrong."""

    axes: int = 0
    named: int = 0
    moved: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass
class Shapes:
    """The shape of each tensor of a run, and the operations of each call, by name and line."""

    shapes: dict[Tensor, tuple[int, ...]] = field(default_factory=dict)
    operations: dict[tuple[str, int], list[tuple[str, str]]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def judge(case: Case) -> Verdict:
    """Compare every name with what the axis does when a size changes alone."""
    dims, seen = _traced(case)
    verdict = Verdict(len(dims), sum(not dim.isdigit() for dim in dims.values()))
    moved: set[tuple[Tensor, int]] = set()
    for size, changed, sizes, shapes in _changed_runs(case):
        for (tensor, axis), dim in dims.items():
            now = _shape_now(tensor, seen, shapes)
            if dim.isdigit() or now is None:
                continue
            before = seen.shapes[tensor][axis]
            expected = _value(dim, sizes)
            if len(now) != len(seen.shapes[tensor]) or now[axis] != expected:
                got = now[axis] if axis < len(now) else now
                verdict.wrong.append(
                    f"{case.name}: axis {axis} of {tensor} is called {dim}; with {size} {changed} alone it "
                    f"is {got} (before: {before}), not {expected}"
                )
            if expected != before:
                moved.add((tensor, axis))
    verdict.moved = len(moved)
    return verdict


def _traced(case: Case) -> tuple[dict[tuple[Tensor, int], str], Shapes]:
    trace = case.trace(_ids(case.batch, case.seq_len, case.sizes[case.vocabulary]))
    dims: dict[tuple[Tensor, int], str] = {}
    seen = Shapes()
    for call in trace.calls:
        place = call.path, call.call
        seen.calls[call.path] += 1
        seen.operations[place] = [(op.name, op.source) for op in call.ops]
        parts: list[Any] = [call, *call.ops]
        for position, part in enumerate(parts, start=-1):
            for side, specs in (("input", part.inputs), ("output", part.outputs)):
                for spec in specs:
                    tensor = (*place, position, side, spec.name)
                    seen.shapes[tensor] = spec.shape
                    dims |= {(tensor, axis): dim for axis, dim in enumerate(spec.dims)}
    return dims, seen


def _changed_runs(case: Case) -> Iterator[tuple[str, int, Sizes, Shapes]]:
    """Yield runs that differ in one size: its name, its new value, all sizes, and the shapes."""
    inputs = {"batch": case.batch, "seq_len": case.seq_len}
    for name, old in {**inputs, **case.sizes}.items():
        for new in (old + 1, old + 2, 2 * old, 3 * old, old // 2):
            if new < 1 or new == old:
                continue
            ids = {**inputs, name: new} if name in inputs else inputs
            sizes = case.sizes if name in inputs else {**case.sizes, name: new}
            try:
                after = case.after(sizes)
                # An axis of size 1 is broadcast, and so hides that a model cannot have this size.
                if after.get("head_dim", 2) < 2:
                    continue
                shapes = _shapes(case, sizes, **ids)
            except Exception:  # this size cannot be changed alone, or not to this value
                continue
            yield name, new, after | ids, shapes
            break


def _ids(batch: int, seq_len: int, vocabulary: int) -> Any:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(vocabulary, (batch, seq_len), generator=generator)


def _shapes(case: Case, sizes: Sizes, batch: int, seq_len: int) -> Shapes:
    torch.manual_seed(0)
    module = case.build(sizes).eval()
    ids = _ids(batch, seq_len, sizes[case.vocabulary])
    with torch.inference_mode(), SpanRecorder(module, Measures(ops=True)) as recorder:
        module(ids, **case.arguments)
    result, operations = Shapes(), recorder.operations_by_call()
    for span in recorder.spans:
        result.calls[span.path] += 1
        place = span.path, result.calls[span.path]
        parts: list[Any] = [span, *operations.get(span, ())]
        result.operations[place] = [(op.name, op.source) for op in operations.get(span, ())]
        for position, part in enumerate(parts, start=-1):
            for side, infos in (("input", part.inputs), ("output", part.outputs)):
                result.shapes |= {(*place, position, side, info.name): info.shape for info in infos}
    recorder.release()
    return result


def _shape_now(tensor: Tensor, seen: Shapes, now: Shapes) -> tuple[int, ...] | None:
    """Return the shape of a tensor in a changed run; None where that did not do the same there."""
    path, call, position, *_ = tensor
    if seen.calls[path] != now.calls[path]:
        return None
    if position >= 0 and seen.operations[path, call] != now.operations[path, call]:
        return None
    return now.shapes.get(tensor)


def _value(dim: str, sizes: Mapping[str, int]) -> int:
    return math.prod([int(part) if part.isdigit() else sizes[part] for part in dim.split("*")])
