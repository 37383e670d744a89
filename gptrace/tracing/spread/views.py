"""Whether views of parts are parts of views: what tells that a twin is not the whole of a spread model.

A copy of a spread model has its attributes as well, and some plans divide the number of heads there. If such
a copy runs with whole parameters, a `view` gives it half of the heads, each of twice the width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gptrace.tracing.tensors import TensorInfo

# Operations that keep the numbers of a tensor and their order.
VIEWS = frozenset(("view", "view_as", "reshape", "reshape_as", "flatten", "unflatten"))
# The first index of the part of an axis, from the size of the whole axis and what splits it.
Start = Callable[[int, Sequence[str]], int]
# The place of the first number of a part in the whole, and the size and stride of each axis.
_Places = tuple[int, list[tuple[int, int]]]


def keeps_its_part(before: TensorInfo, after: TensorInfo, start: Start) -> bool:
    """Tell whether the part of a tensor has the same numbers of the whole after a view as before.

    True as well where it is not known what splits an axis.

    >>> import torch
    >>> def info(shape, local, *split_by):
    ...     return TensorInfo("", shape, torch.float32, torch.device("cpu"), local, split_by)
    >>> before = info((8, 32), (8, 16), (), ("tp",))
    >>> heads, widths = ((8, 4, 8), (8, 2, 8)), ((8, 2, 16), (8, 2, 8))
    >>> keeps_its_part(before, info(*heads, (), ("tp",), ()), lambda size, dims: 0)
    True
    >>> keeps_its_part(before, info(*widths, (), (), ("tp",)), lambda size, dims: 0)
    False
    """
    places = _places(before, start), _places(after, start)
    return None in places or places[0] == places[1]


def _places(info: TensorInfo, start: Start) -> _Places | None:
    """Return where the numbers of a part are in the whole; axes that continue each other are one."""
    if info.local_shape is None or len(info.split_by) != len(info.shape) or 0 in info.local_shape:
        return None
    first, axes, stride = 0, list[tuple[int, int]](), 1
    for whole, local, names in zip(
        reversed(info.shape), reversed(info.local_shape), reversed(info.split_by), strict=True
    ):
        first += start(whole, names) * stride
        if axes and axes[-1][0] * axes[-1][1] == stride:
            axes[-1] = axes[-1][0] * local, axes[-1][1]
        elif local > 1:
            axes.append((local, stride))
        stride *= whole
    return first, axes
