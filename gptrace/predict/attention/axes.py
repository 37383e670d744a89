"""Where the axes of scores go, so that queries and keys are told apart after any transpose.

A matrix of scores is square: its shape does not tell the axes apart. An operation that moves axes does the
same to any tensor of that shape: called again on the numbers of the elements, it shows where each axis went.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gptrace.model.quiet_torch import torch
from gptrace.tracing.tensors import find_tensors

Tensor = torch.Tensor
# For each axis of a tensor, the axis that it was in an earlier one; None where it is none of these alone.
Axes = tuple[int | None, ...]
# Other operations on scores leave the order of the axes as it is, and at most add some in front.
_MOVING = frozenset({
    "transpose", "permute", "swapaxes", "swapdims", "movedim", "moveaxis", "T", "mT", "H", "mH", "t",
    "adjoint", "view", "reshape", "view_as", "reshape_as", "flatten", "unflatten", "squeeze", "unsqueeze",
    "getitem", "select", "unbind", "stack", "einsum", "diagonal",
})  # fmt: skip


def followed(
    name: str, again: Callable[[Tensor], object], taken: Tensor, made: Sequence[Tensor], axes: Axes
) -> list[Axes]:
    """Return the axes of the tensors that an operation made of one whose `axes` are known.

    `again` calls the operation with another tensor in place of the one `taken`.

    >>> scores = torch.ones(2, 3, 3)
    >>> turned = scores.mT
    >>> followed("mT", lambda tensor: tensor.mT, scores, [turned], (0, 1, 2))
    [(0, 2, 1)]
    """
    sources = _moved(again, taken, made) if name.rstrip("_") in _MOVING else [_kept(taken, t) for t in made]
    return [tuple(None if axis is None else axes[axis] for axis in source) for source in sources]


def _kept(taken: Tensor, made: Tensor) -> Axes:
    more = made.dim() - taken.dim()
    return (None,) * made.dim() if more < 0 else (*(None,) * more, *range(taken.dim()))


def _moved(again: Callable[[Tensor], object], taken: Tensor, made: Sequence[Tensor]) -> list[Axes]:
    marks = torch.arange(taken.numel(), device=taken.device).view(taken.shape)
    sizes, strides = tuple(marks.shape), marks.stride()
    try:
        moved = [tensor for _, tensor in find_tensors("", again(marks))]
    except Exception:  # what other arguments do to integers is not known
        moved = []
    if [tensor.shape for tensor in moved] != [tensor.shape for tensor in made]:
        return [(None,) * tensor.dim() for tensor in made]
    return [_sources(tensor, sizes, strides) for tensor in moved]


def _sources(marks: Tensor, sizes: Sequence[int], strides: Sequence[int]) -> Axes:
    """Return the axis that each axis of `marks` was, given the sizes and strides of all before.

    Along one of them the numbers grow by its stride. Axes of one lane are alike, and matched from the end.
    """
    by_stride = {
        stride: axis for axis, (size, stride) in enumerate(zip(sizes, strides, strict=True)) if size > 1
    }
    sources: list[int | None] = []
    for axis, size in enumerate(marks.shape):
        line = marks[(0,) * axis + (slice(None),) + (0,) * (marks.dim() - axis - 1)]
        steps = {*line.diff().tolist()}
        source = by_stride.get(min(steps)) if len(steps) == 1 else None
        sources.append(source if source is not None and size <= sizes[source] else None)
    alone = [axis for axis, size in enumerate(sizes) if size == 1]
    for axis in reversed(range(marks.dim())):
        if marks.shape[axis] == 1 and alone:
            sources[axis] = alone.pop()
    return tuple(sources)
