"""The sizes of the two small models whose shapes show which setting an axis follows.

Code computes sizes from others, as in 4 * x + 1, x // 2 or x + 2 * y. In these two sets of sizes such a
result is never taken for another size: for any sizes or products x and y, no k·x + c (k up to 4, c up to
±16), no x/k (k up to 16, rounded up or down), and no x + y or x + 2·y equals another size, or the same
multiple of it, in both sets. A search found them. No size is the same in both sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class SizeSet(NamedTuple):
    """Prime numbers, from which the sizes of one small model are made. `others` are for other settings."""

    key_value_heads: int
    heads_per_group: int
    head_dim: int
    width_per_head: int
    rest: int
    width: int
    batch: int
    seq_len: int
    context: int
    vocabulary: int
    inner: int
    others: tuple[int, ...]


SIZE_SETS = (
    SizeSet(
        key_value_heads=5, heads_per_group=3, head_dim=7, width_per_head=5, rest=1, width=23,
        batch=11, seq_len=19, context=137, vocabulary=103, inner=37,
        others=(107, 17, 53, 73, 31, 47, 101, 103),
    ),
    SizeSet(
        key_value_heads=13, heads_per_group=2, head_dim=5, width_per_head=3, rest=2, width=29,
        batch=5, seq_len=17, context=127, vocabulary=79, inner=73,
        others=(59, 53, 103, 19, 17, 109, 97, 37),
    ),
)  # fmt: skip


class Relations(NamedTuple):
    """How the sizes of a small model depend on each other, since some architectures require it.

    width         "free"; a multiple of the number of "heads"; heads·"head_dim"; or that and a "rest", as code
                  may have it that computes head_dim as width // heads
    is_grouped    there are several heads for each key-value head
    divisor       of head_dim, widths and the like: rotary embeddings rotate pairs, kernels want multiples
    heads_factor  a factor of the number of heads, since some want that to be even
    others_vary   whether settings with other names (`moe_intermediate_size`) are changed too
    """

    width: str
    is_grouped: bool
    divisor: int
    heads_factor: int
    others_vary: bool


def relations(*, widths: Sequence[str], may_group: bool, has_others: bool) -> Iterator[Relations]:
    """Yield the relations to try, the most independent first; each that fails costs a model.

    Only sizes that do not depend on each other show which of them an axis follows.
    """
    for others_vary in (True, False) if has_others else (False,):
        for divisor, heads_factor in ((4, 1), (8, 2)) if others_vary == has_others else ((4, 1),):
            for is_grouped in (True, False) if may_group else (False,):
                for width in widths:
                    yield Relations(width, is_grouped, divisor, heads_factor, others_vary)
