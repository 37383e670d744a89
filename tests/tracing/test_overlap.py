"""Which regions of a storage have an element in common, against a list of all their elements."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from gptrace.model.quiet_torch import torch
from gptrace.tracing.overlap import Region, overlap

Tensor = torch.Tensor


def bytes_of(region: Region) -> set[int]:
    """Return the numbers of all bytes of a region."""
    found: set[int] = set()
    for index in itertools.product(*map(range, region.shape)):
        at = region.offset + sum(i * step for i, step in zip(index, region.stride, strict=True))
        found.update(range(at * region.bytes, (at + 1) * region.bytes))
    return found


def some_view(tensor: Tensor, choose: random.Random) -> Tensor:
    for _ in range(choose.randint(0, 3)):
        if not tensor.dim() or not tensor.shape[0]:
            break
        axis = choose.randrange(tensor.dim())
        size = tensor.shape[axis]
        start = choose.randint(0, size)
        views: list[Any] = [
            lambda t, axis=axis, start=start, size=size: t.narrow(
                axis, start, choose.randint(0, size - start)
            ),
            lambda t, axis=axis: t.movedim(axis, -1)[..., choose.randint(0, 1) :: choose.randint(1, 3)],
            lambda t, axis=axis: t.transpose(0, axis),
            lambda t: t[choose.randrange(t.shape[0])],
            lambda t: t.unsqueeze(0).expand(2, *t.shape),
            lambda t: t.view(torch.int16) if t.stride()[-1] == 1 and t.dtype != torch.int16 else t,
        ]
        tensor = choose.choice(views)(tensor)
    return tensor


def test_overlaps_are_those_of_the_elements() -> None:
    choose, seen = random.Random(1), {True: 0, False: 0}
    for _ in range(800):
        base = torch.zeros(choose.choice([(4, 6), (2, 3, 4), (24,), (2, 12), (3, 8)]))
        a, b = (Region.of(some_view(base, choose)) for _ in range(2))
        expected = not bytes_of(a).isdisjoint(bytes_of(b))
        assert overlap(a, b) is expected, (a, b)
        seen[expected] += 1
    assert min(seen.values()) > 100


def test_what_takes_too_long_is_unknown() -> None:
    """Strides without a common pattern, and a solution that only a long search would find or rule out."""
    strides = [2**20 + prime for prime in (7, 13, 33, 49, 87, 111, 121, 169)]
    region = Region(0, (50,) * 8, tuple(strides), 1)
    assert overlap(region, Region(strides[0] * 190 + 1, (), (), 1)) is None


@pytest.mark.parametrize(
    "index",
    [0, -1, slice(1, 3), (slice(None), 2), (..., slice(None, None, 2)), (None, 1, ..., None, 0), (1, 2, 3),
     ..., None, (), (slice(0, 4), None, slice(None, None)), slice(4), slice(None, None, 4),
     (slice(-2, None), slice(5, 2)), (slice(3, 9), ..., -1)],
)  # fmt: skip
def test_the_region_of_an_index_is_that_of_the_view(index: Any) -> None:
    tensor = torch.zeros(5, 4, 6).transpose(0, 1)
    view, part = tensor[index], Region.of(tensor).part(index)
    assert bytes_of(part) == bytes_of(Region.of(view))
    assert Region.of(tensor).is_all(index) == (bytes_of(part) == bytes_of(Region.of(tensor)))


@pytest.mark.parametrize(
    "index", [torch.tensor([0, 2]), [1, 2], True, (0, torch.tensor(1)), slice(torch.tensor(1))]
)
def test_the_region_of_another_index_is_the_whole(index: Any) -> None:
    region = Region.of(torch.zeros(3, 3))
    assert region.part(index) == region
    assert not region.is_all(index)
