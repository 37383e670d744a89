"""Name a dimension by what moves it, not by its value.

The same architecture is run again at a tiny size, the twin, in which every dimension is a different prime
and none has the size that it has in the real run. An axis that has size 768 here and 35 there is emb_dim,
because emb_dim is what went from 768 to 35; one that is 3 both times is just a 3. So 12 tokens are never
mistaken for 12 heads.
"""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import lru_cache
from io import StringIO
from typing import NamedTuple

from gptrace.measures import Measures
from gptrace.model.architecture import Architecture
from gptrace.model.hollow import hollow_copy, without_hooks
from gptrace.model.hugging_face import forward_arguments
from gptrace.model.memory import check_memory
from gptrace.model.quiet_torch import torch
from gptrace.tracing.spans import Span, SpanRecorder

Sizes = dict[str, int]
Dims = tuple[str, ...]
Shape = tuple[int, ...]
Key = tuple[str, int, str]  # path, number of the call, name of the tensor
Types = tuple[tuple[str, str], ...]  # path and class of each call, in order


def axis_name(real: int, twin: int, real_sizes: Sizes, twin_sizes: Sizes) -> str:
    """Return the size, or the multiple of a size, that an axis has in both runs; or its number as a string.

    >>> axis_name(3072, 140, {"emb_dim": 768, "batch": 1}, {"emb_dim": 35, "batch": 11})
    '4*emb_dim'
    >>> axis_name(3, 3, {"n_heads": 3}, {"n_heads": 5})
    '3'
    """
    if real != twin:  # an axis of one size in two runs whose every size differs is a constant
        for name, size in twin_sizes.items():
            if (real, twin) == (real_sizes[name], size):
                return name
        for name, size in twin_sizes.items():
            factor = twin // size
            if factor and (real, twin) == (factor * real_sizes[name], factor * size):
                return f"{factor}*{name}"
    return str(real)


class DimensionNames:
    """The axis names of one forward pass, by path and number of the call: what the pass and its twin say."""

    def __init__(
        self, sizes: Sizes, twin_sizes: Sizes, twin: Twin, products: Sequence[tuple[str, str]] = ()
    ) -> None:
        self.sizes = sizes
        self._real_sizes, self._twin_sizes = (_with_products(each, products) for each in (sizes, twin_sizes))
        self._twin = twin
        self._known: dict[tuple[Shape, Shape], Dims] = {}

    def fits(self, types: Types) -> bool:
        """Tell whether a forward pass made the calls that the twin made, as far as it came."""
        return types == self._twin.types[: len(types)]

    def twin_shape(self, key: Key) -> Shape:
        """Return the shape that a tensor of that call has in the twin, or () where the twin has none."""
        return self._twin.shapes.get(key, ())

    def of(self, shape: Shape, twin_shape: Shape) -> Dims:
        """Return the names of the axes of a tensor, by its shape here and in the twin."""
        if len(twin_shape) != len(shape):
            return tuple(map(str, shape))
        shapes = (shape, twin_shape)
        if shapes not in self._known:
            self._known[shapes] = tuple(
                axis_name(real, twin, self._real_sizes, self._twin_sizes)
                for real, twin in zip(*shapes, strict=True)
            )
        return self._known[shapes]


def _with_products(sizes: Sizes, pairs: Sequence[tuple[str, str]]) -> Sizes:
    """Add the sizes of merged axes, last: where heads times head_dim is emb_dim, emb_dim is its name."""
    return sizes | {f"{a}*{b}": sizes[a] * sizes[b] for a, b in pairs}


class Twin(NamedTuple):
    """What a run at other sizes showed: its calls, and the shape of each tensor of each call, by name."""

    types: Types
    shapes: dict[Key, Shape]


class Naming(NamedTuple):
    """The names that could be proven for a forward pass, and what has to be said of them."""

    names: DimensionNames | None
    note: str = ""


def op_key(ordinal: int, operation: str, side: str, name: str) -> str:
    """Return the name by which a tensor of a call's operation is known: its place, and what ran there."""
    return f"{ordinal}:{operation}:{side}:{name}"


def prove(
    module: torch.nn.Module,
    architecture: Architecture | None,
    spans: Sequence[Span],
    *,
    by_copy: bool = False,
    ops: bool = False,
) -> Naming:
    """Return the axis names of a forward pass over token ids `[batch, seq_len]`.

    A twin of `architecture` moves every size. Where there is none, or it cannot be run, or makes other
    calls, and `by_copy` allows it, a copy of the module is run with another batch and another seq_len: the
    other axes stay numbers then, and the note says so. With `ops` the operations are named, too. Nothing that
    goes wrong on the way is an error.
    """
    ids = spans[0].inputs[0] if spans and spans[0].inputs else None
    if ids is None or len(ids.shape) != 2 or ids.dtype.is_floating_point or spans[0].path:
        return Naming(None)
    batch, seq_len = ids.shape
    inputs = tuple((seen.name, len(seen.shape), seen.dtype) for seen in spans[0].inputs)
    types = _types_of(spans)
    reason = ""
    for changes, twin_sizes in architecture.twins(batch, seq_len) if architecture else ():
        assert architecture is not None
        twin = _twin_of(
            architecture, tuple(changes.items()), twin_sizes["batch"], twin_sizes["seq_len"], inputs, ops
        )
        if isinstance(twin, Twin):
            sizes = {"batch": batch, "seq_len": seq_len, **architecture.sizes}
            names = DimensionNames(sizes, twin_sizes, twin, architecture.products())
            if names.fits(types):
                return Naming(names)
        reason = twin if isinstance(twin, str) else "a copy of other sizes makes other calls"
    if not by_copy:
        return Naming(None)
    return _proven_by_copy(module, batch, seq_len, inputs, types, reason, ops)


def _proven_by_copy(
    module: torch.nn.Module,
    batch: int,
    seq_len: int,
    inputs: Inputs,
    types: Types,
    reason: str,
    ops: bool,
) -> Naming:
    """Move batch and seq_len, or the one of them that can be moved."""
    because = reason or "nothing tells how to build the model at other sizes"
    # Small, for a table of positions may hold no more; not the real size, and not each other.
    other_seq_len = next(size for size in (3, 5) if size != seq_len)
    other_batch = next(size for size in (2, 3, 5) if size not in (batch, other_seq_len))
    for moved in (("batch", "seq_len"), ("seq_len",), ("batch",)):
        twin_sizes = {
            "batch": other_batch if "batch" in moved else batch,
            "seq_len": other_seq_len if "seq_len" in moved else seq_len,
        }
        twin = _copied_twin(module, twin_sizes["batch"], twin_sizes["seq_len"], inputs, ops)
        if isinstance(twin, str):
            continue
        real = {name: size for name, size in (("batch", batch), ("seq_len", seq_len)) if name in moved}
        products = [("batch", "seq_len")] if len(moved) == 2 else []
        names = DimensionNames(real, {name: twin_sizes[name] for name in moved}, twin, products)
        if names.fits(types):
            which = " and ".join(moved)
            return Naming(
                names, f"only {which} could be moved and so named, other axes are numbers: {because}"
            )
    return Naming(None, f"no axis could be moved and so named: {because}")


_SMALL = 64 << 20

# Of each tensor that the forward pass was given: its name, how many axes it has, its dtype.
Inputs = tuple[tuple[str, int, torch.dtype], ...]


@lru_cache(maxsize=8)
def _twin_of(
    architecture: Architecture,
    changes: tuple[tuple[str, int], ...],
    batch: int,
    seq_len: int,
    inputs: Inputs,
    ops: bool,
) -> Twin | str:
    """Build and run a twin; return what it showed, or why it could not be had."""
    try:
        with _in_private():
            twin = architecture.build(dict(changes)).float().eval()
            return _run(twin, batch, seq_len, inputs, torch.device("cpu"), ops)
    except Exception as error:  # code of anybody's, at sizes that it may never have been tried at
        return f"at other sizes the model raises {type(error).__name__}"


def _copied_twin(module: torch.nn.Module, batch: int, seq_len: int, inputs: Inputs, ops: bool) -> Twin | str:
    """Run a copy of the module: without numbers if that works, else with them."""
    first = next(module.parameters(), None)
    whole = (_whole_copy, torch.device("cpu") if first is None else first.device)
    hollow = (hollow_copy, torch.device("meta"))
    reason = ""
    # Device meta takes a second to get going, and some code cannot run there.
    for copied, device in (whole, hollow) if _bytes(module) < _SMALL else (hollow, whole):
        try:
            with _in_private():
                return _run(copied(module).eval(), batch, seq_len, inputs, device, ops)
        except Exception as error:
            reason = f"the model raises {type(error).__name__} when its input has another shape"
    return reason


def _whole_copy(module: torch.nn.Module) -> torch.nn.Module:
    check_memory(2 * _bytes(module), "a copy of the model")
    return without_hooks(copy.deepcopy(module))


def _bytes(module: torch.nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())


def _run(
    twin: torch.nn.Module, batch: int, seq_len: int, inputs: Inputs, device: torch.device, ops: bool
) -> Twin:
    given = {}
    for name, axes, dtype in inputs[1:]:  # a mask, positions: anything that is as long as the ids
        if axes != 2 or not name.isidentifier():
            raise ValueError(f"no way to make {name} at another size")
        given[name] = torch.ones(batch, seq_len, dtype=dtype, device=device)
    # A default device, since code that makes a mask or positions may not say where.
    with torch.device(device), SpanRecorder(twin, Measures(ops=ops)) as recorder:
        twin(
            torch.zeros(batch, seq_len, dtype=torch.int64, device=device), **given, **forward_arguments(twin)
        )
    shapes = {
        (span.path, call, seen.name): seen.shape
        for span, call in numbered(recorder.spans)
        for seen in (*span.inputs, *span.outputs)
    }
    return Twin(_types_of(recorder.spans), shapes | _shapes_of_operations(recorder))


def _shapes_of_operations(recorder: SpanRecorder) -> dict[Key, Shape]:
    found: dict[Key, Shape] = {}
    places = [(span.path, call) for span, call in numbered(recorder.spans)]
    ordinals: Counter[int] = Counter()
    for operation in recorder.operations.operations if recorder.operations is not None else ():
        parent = operation.parent
        if parent is None:
            continue
        for side, seen in (("input", operation.inputs), ("output", operation.outputs)):
            for one in seen:
                found[(*places[parent], op_key(ordinals[parent], operation.name, side, one.name))] = one.shape
        ordinals[parent] += 1
    return found


@contextmanager
def _in_private() -> Iterator[None]:
    """Leave no trace: the caller's random numbers, modes, default device, global hooks and streams."""
    nowhere = StringIO()
    with (
        torch.random.fork_rng(devices=[]),
        torch.device("cpu"),
        torch.inference_mode(),
        _no_global_hooks(),
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _no_global_hooks() -> Iterator[None]:
    """Put away the hooks that somebody registered on all modules: they would see calls that are none."""
    kinds = [torch.nn.modules.module._global_forward_pre_hooks, torch.nn.modules.module._global_forward_hooks]
    kept = [dict(hooks) for hooks in kinds]
    for hooks in kinds:
        hooks.clear()
    try:
        yield
    finally:
        for hooks, before in zip(kinds, kept, strict=True):
            hooks.update(before)


def _types_of(spans: Sequence[Span]) -> Types:
    return tuple((span.path, type(span.module).__name__) for span in spans)


def numbered(spans: Sequence[Span]) -> Iterator[tuple[Span, int]]:
    """Yield each span with the number of its call: 1 for the first call of that path."""
    calls: dict[str, int] = {}
    for span in spans:
        calls[span.path] = calls.get(span.path, 0) + 1
        yield span, calls[span.path]
