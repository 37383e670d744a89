"""Name a dimension by what moves it, not by its value.

The same architecture is run again twice, as twins at tiny sizes, in which every dimension has another size.
An axis that has 768 here, 35 in one twin and 55 in the other is emb_dim, because that is what emb_dim was;
one that is 3 all three times is just a 3. So 12 tokens are never mistaken for 12 heads. One twin would not
do: half of 35 is 17, which another size may be by chance; the sizes are such that no chance comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from gptrace.model.architecture import Architecture
from gptrace.model.quiet_torch import torch
from gptrace.record import TensorSpec
from gptrace.tracing.resized_runs import (
    Inputs,
    Key,
    ResizedRun,
    Shape,
    Types,
    run_copy_resized,
    run_resized,
    types_of,
)
from gptrace.tracing.span import Span

Sizes = dict[str, int]
Dims = tuple[str, ...]


def axis_name(sizes: Sequence[int], named: Mapping[str, tuple[int, ...]]) -> str:
    """Return the size, or the multiple of a size, that an axis has in every run; or its number as a string.

    `sizes` are those of the axis, the real run's first; `named` has those of each name in the same order.

    >>> axis_name((3072, 140, 220), {"emb_dim": (768, 35, 55), "batch": (1, 17, 7)})
    '4*emb_dim'
    >>> axis_name((3, 3, 3), {"n_heads": (3, 7, 5)})
    '3'
    """
    if len(set(sizes)) > 1:  # an axis of one size in all runs is a constant
        for name, moved in named.items():
            if tuple(sizes) == moved:
                return name
        for name, moved in named.items():
            factor = sizes[-1] // moved[-1]
            if factor and all(size == factor * one for size, one in zip(sizes, moved, strict=True)):
                return f"{factor}*{name}"
    return str(sizes[0])


class AxisNames:
    """The axis names of one forward pass, by path and number of the call: what it and its twins say.

    `sizes` are those of the real run; `moved` has the same names for each twin. `products` are pairs of
    names that code merges into one axis.
    """

    def __init__(
        self,
        sizes: Sizes,
        moved: Sequence[Sizes],
        twins: Sequence[ResizedRun],
        products: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.sizes = sizes
        # What was made with these names; it goes when they go.
        self.specs: dict[object, tuple[TensorSpec, ...]] = {}
        self._twins = twins
        runs = [_with_products(each, products) for each in (sizes, *moved)]
        self._named = {name: tuple(run[name] for run in runs) for name in runs[0]}

    def of(self, key: Key, shape: Shape) -> Dims:
        """Return the names of the axes of a tensor of a call, by its shape here and in the twins."""
        shapes = (shape, *(twin.shapes.get(key, ()) for twin in self._twins))
        if len(set(map(len, shapes))) > 1:
            return tuple(map(str, shape))
        return tuple(axis_name(axis, self._named) for axis in zip(*shapes, strict=True))


def _with_products(sizes: Sizes, pairs: Sequence[tuple[str, str]]) -> Sizes:
    """Add the sizes of merged axes, last: where heads times head_dim is emb_dim, emb_dim is its name."""
    return sizes | {f"{a}*{b}": sizes[a] * sizes[b] for a, b in pairs}


class InferredAxisNames(NamedTuple):
    """The names that could be proven for a forward pass, and what has to be said of them."""

    names: AxisNames | None
    note: str = ""


def infer_axis_names(
    module: torch.nn.Module,
    architecture: Architecture | None,
    spans: Sequence[Span],
    *,
    by_copy: bool = False,
    ops: bool = False,
    failed: bool = False,
) -> InferredAxisNames:
    """Return the axis names of a forward pass over token ids `[batch, seq_len]`.

    Twins of `architecture` move every size. Where there is none, or it cannot be run, or makes other
    calls, and `by_copy` allows it, a copy of the module is run with another batch and with another seq_len:
    the other axes stay numbers then, and the note says so. With `ops` the operations are named, too. Where
    the pass `failed`, twins may fail as well, and name what came before. Nothing that goes wrong on the way
    is an error.
    """
    ids = spans[0].inputs[0] if spans and spans[0].inputs else None
    if ids is None or len(ids.shape) != 2 or ids.dtype.is_floating_point or spans[0].path:
        return InferredAxisNames(None)
    batch, seq_len = ids.shape
    inputs = tuple((seen.name, len(seen.shape), seen.dtype) for seen in spans[0].inputs)
    types = types_of(spans)
    names, reason = None, ""
    if architecture is not None:
        names, reason = _proven_by_twins(architecture, batch, seq_len, inputs, types, ops, failed)
    if names is not None:
        return InferredAxisNames(names)
    if not by_copy:
        return InferredAxisNames(None)
    return _proven_by_copy(module, batch, seq_len, inputs, types, reason, ops, failed)


@lru_cache(maxsize=16)
def _proven_by_twins(
    architecture: Architecture,
    batch: int,
    seq_len: int,
    inputs: Inputs,
    types: Types,
    ops: bool,
    failed: bool,
) -> tuple[AxisNames | None, str]:
    """Return the names, or why there are none. Kept, for who watches one model again and again."""
    sizes = {"batch": batch, "seq_len": seq_len, **architecture.sizes}
    reason = ""
    for changes, moved in architecture.resized_configurations():
        made = [
            run_resized(architecture, tuple(change.items()), of["batch"], of["seq_len"], inputs, ops, failed)
            for change, of in zip(changes, moved, strict=True)
        ]
        twins = [twin for twin in made if isinstance(twin, ResizedRun) and twin.fits(types)]
        if len(twins) == len(made):
            return AxisNames(sizes, moved, twins, architecture.products()), ""
        reason = next((one for one in made if isinstance(one, str)), "at other sizes it makes other calls")
    return None, reason


def _proven_by_copy(
    module: torch.nn.Module,
    batch: int,
    seq_len: int,
    inputs: Inputs,
    types: Types,
    reason: str,
    ops: bool,
    failed: bool,
) -> InferredAxisNames:
    """Move batch and seq_len, one at a time; or the one of them that can be moved, to two other sizes."""
    because = reason or "nothing tells how to build the model at other sizes; a class that takes them would"
    for moved, runs in _other_inputs(batch, seq_len):
        twins: list[ResizedRun] = []
        for sizes in runs:
            twin = run_copy_resized(module, sizes["batch"], sizes["seq_len"], inputs, ops, failed)
            if isinstance(twin, str) or not twin.fits(types):
                break
            twins.append(twin)
        if len(twins) < len(runs):
            continue
        real = {name: size for name, size in (("batch", batch), ("seq_len", seq_len)) if name in moved}
        products = [("batch", "seq_len")] if len(moved) == 2 else []
        names = AxisNames(real, [{name: one[name] for name in moved} for one in runs], twins, products)
        note = f"only {' and '.join(moved)} have names, since only they could be varied: {because}"
        return InferredAxisNames(names, note)
    return InferredAxisNames(None, f"no axis has a name, since none could be varied: {because}")


def _other_inputs(batch: int, seq_len: int) -> Iterator[tuple[tuple[str, ...], list[Sizes]]]:
    """Yield what to move and the two runs that do it. Small, for a table of positions may hold no more."""
    batches = [size for size in (2, 3, 5) if size != batch]
    lengths = [size for size in (3, 5, 2) if size != seq_len]
    yield (
        ("batch", "seq_len"),
        [{"batch": batches[0], "seq_len": seq_len}, {"batch": batch, "seq_len": lengths[0]}],
    )
    yield ("seq_len",), [{"batch": batch, "seq_len": length} for length in lengths[:2]]
    yield ("batch",), [{"batch": size, "seq_len": seq_len} for size in batches[:2]]
