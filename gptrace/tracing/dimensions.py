"""Name a dimension by what moves it, not by its value.

The same architecture is run again at a tiny size, the twin, in which every dimension is a different prime
and none has the size that it has in the real run. An axis that has size 768 here and 35 there is emb_dim,
because emb_dim is what went from 768 to 35; one that is 3 both times is just a 3. So 12 tokens are never
mistaken for 12 heads.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from gptrace.model.config import GPTConfig
from gptrace.model.gpt import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.tracing.spans import Span, SpanRecorder

Sizes = dict[str, int]
Dims = tuple[str, ...]
Shape = tuple[int, ...]

# Not 2 and 3: those are what code multiplies and divides by.
_PRIMES = (5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97)


def axis_name(real: int, twin: int, real_sizes: Sizes, twin_sizes: Sizes) -> str:
    """Return the simplest expression that explains both sizes of an axis, or the real size as a string.

    >>> axis_name(3072, 140, {"emb_dim": 768, "batch": 1}, {"emb_dim": 35, "batch": 11})
    '4*emb_dim'
    >>> axis_name(3, 3, {"n_heads": 3}, {"n_heads": 5})
    '3'
    """
    if real != twin:  # an axis of one size in two runs whose every size differs is a constant
        for expression, real_value, twin_value in _expressions(real, twin, real_sizes, twin_sizes):
            if real_value == real and twin_value == twin:
                return expression
    return str(real)


def _expressions(
    real: int, twin: int, real_sizes: Sizes, twin_sizes: Sizes
) -> Iterator[tuple[str, int, int]]:
    """Yield expressions, the simplest first, with their real and twin values."""
    names = list(twin_sizes)
    for name in names:
        yield name, real_sizes[name], twin_sizes[name]
    for name in names:
        factor = twin // twin_sizes[name]
        if factor > 1:
            yield f"{factor}*{name}", factor * real_sizes[name], factor * twin_sizes[name]
    for position, left in enumerate(names):
        for right in names[position:]:
            yield (
                f"{left}*{right}",
                real_sizes[left] * real_sizes[right],
                twin_sizes[left] * twin_sizes[right],
            )
    for name in names:
        yield f"{name}//2", real_sizes[name] // 2, twin_sizes[name] // 2
    for name in names:
        offset = real - real_sizes[name]
        if 0 < abs(offset) <= 8:
            yield f"{name}{offset:+d}", real_sizes[name] + offset, twin_sizes[name] + offset


class DimensionNames:
    """The axis names of one forward pass of a GPTModel, by path and number of the call."""

    def __init__(self, config: GPTConfig, batch: int, seq_len: int) -> None:
        self.sizes: Sizes = {"batch": batch, "seq_len": seq_len, **config.dims()}
        primes = [prime for prime in _PRIMES if prime not in self.sizes.values()]
        # emb_dim is their product, so the smallest go to the heads.
        n_heads, head_dim, twin_batch, twin_seq_len, context_length, vocab_size = primes[:6]
        twin = GPTConfig(
            vocab_size=vocab_size,
            context_length=context_length,
            emb_dim=n_heads * head_dim,
            n_heads=n_heads,
            n_layers=config.n_layers,
            qkv_bias=config.qkv_bias,
            attention=config.attention,
        )
        self._twin_sizes: Sizes = {"batch": twin_batch, "seq_len": twin_seq_len, **twin.dims()}
        self._shapes = _twin_shapes(twin, twin_batch, twin_seq_len)
        self._known: dict[tuple[Shape, Shape], Dims] = {}

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


@lru_cache(maxsize=8)
def _twin_shapes(config: GPTConfig, batch: int, seq_len: int) -> dict[tuple[str, int, str], Shape]:
    """Run the twin once; return the shape of every tensor by path, number of the call, and name."""
    # The caller's random numbers, default device and modes are none of the twin's business.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.inference_mode():
        twin = GPTModel(config).float().eval()
        with SpanRecorder(twin) as recorder:
            twin(torch.zeros(batch, seq_len, dtype=torch.int64))
    return {
        (span.path, call, seen.name): seen.shape
        for span, call in numbered(recorder.spans)
        for seen in (*span.inputs, *span.outputs)
    }


def numbered(spans: list[Span]) -> Iterator[tuple[Span, int]]:
    """Yield each span with the number of its call: 1 for the first call of that path."""
    calls: dict[str, int] = {}
    for span in spans:
        calls[span.path] = calls.get(span.path, 0) + 1
        yield span, calls[span.path]
