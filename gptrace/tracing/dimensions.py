"""Name a dimension by what moves it, not by its value.

The same architecture is run again at a tiny size, the twin, in which every dimension is a different prime
and none has the size that it has in the real run. An axis that has size 768 here and 35 there is emb_dim,
because emb_dim is what went from 768 to 35; one that is 3 both times is just a 3. So 12 tokens are never
mistaken for 12 heads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

from gptrace.model.config import GPTConfig
from gptrace.model.gpt import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.tracing.spans import Span, SpanRecorder

Sizes = dict[str, int]
Dims = tuple[str, ...]
Shape = tuple[int, ...]
Types = tuple[tuple[str, str], ...]  # path and class of each call, in order

# Not 2 and 3: those are what code multiplies and divides by.
_PRIMES = (5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97)


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
    """The axis names of one forward pass of a GPTModel, by path and number of the call."""

    def __init__(self, config: GPTConfig, batch: int, seq_len: int) -> None:
        self.sizes: Sizes = {"batch": batch, "seq_len": seq_len, **config.dims()}
        twin, twin_batch, twin_seq_len = _choose_twin(config, self.sizes)
        self._twin_sizes: Sizes = {"batch": twin_batch, "seq_len": twin_seq_len, **twin.dims()}
        self._types, self._shapes = _run_twin(twin, twin_batch, twin_seq_len)
        self._known: dict[tuple[Shape, Shape], Dims] = {}

    def fits(self, spans: Sequence[Span]) -> bool:
        """Tell whether a forward pass made the calls that the twin made, as far as it came."""
        types = _types_of(spans)
        return types == self._types[: len(types)]

    def twin_shape(self, path: str, call: int, name: str) -> Shape:
        """Return the shape that a tensor of that call has in the twin, or () where the twin has none."""
        return self._shapes.get((path, call, name), ())

    def of(self, shape: Shape, twin_shape: Shape) -> Dims:
        """Return the names of the axes of a tensor, by its shape here and in the twin."""
        if len(twin_shape) != len(shape):
            return tuple(map(str, shape))
        shapes = (shape, twin_shape)
        if shapes not in self._known:
            self._known[shapes] = tuple(
                axis_name(real, twin, self.sizes, self._twin_sizes)
                for real, twin in zip(*shapes, strict=True)
            )
        return self._known[shapes]


def _choose_twin(config: GPTConfig, real_sizes: Sizes) -> tuple[GPTConfig, int, int]:
    """Return a twin, its batch and its seq_len: primes, none of them the size that it has in the real run."""
    for start in range(len(_PRIMES) - 6):
        # emb_dim is the product of the first two, so the smallest go to the heads.
        n_heads, head_dim, batch, seq_len, context_length, vocab_size, ff_dim = _PRIMES[start : start + 7]
        twin = replace(
            config,
            vocab_size=vocab_size,
            context_length=context_length,
            emb_dim=n_heads * head_dim,
            n_heads=n_heads,
            ff_dim=None if config.ff_dim is None else ff_dim,
        )
        sizes = {"batch": batch, "seq_len": seq_len, **twin.dims()}
        if all(real_sizes[name] != size for name, size in sizes.items()):
            return twin, batch, seq_len
    raise AssertionError("each real size can spoil only a few of the starts")


@lru_cache(maxsize=8)
def _run_twin(config: GPTConfig, batch: int, seq_len: int) -> tuple[Types, dict[tuple[str, int, str], Shape]]:
    """Run the twin once; return its calls, and each tensor's shape by path, number of the call and name."""
    # The caller's random numbers, default device, modes and global hooks are none of the twin's business.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.inference_mode(), _no_global_hooks():
        twin = GPTModel(config).float().eval()
        with SpanRecorder(twin) as recorder:
            twin(torch.zeros(batch, seq_len, dtype=torch.int64))
    shapes = {
        (span.path, call, seen.name): seen.shape
        for span, call in numbered(recorder.spans)
        for seen in (*span.inputs, *span.outputs)
    }
    return _types_of(recorder.spans), shapes


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
