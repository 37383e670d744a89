"""What a resized run shows of the size of each axis, and which setting is a factor of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gptrace.tracing.span import Occurrence, Site

Side = tuple[Occurrence, str]  # the "input" or the "output" of a call or an operation
Shape = tuple[int, ...]


class KnownSizes:
    """The shapes of the tensors of a run, as far as its sizes are known.

    A call is found by its site and its number. Where the number of calls differs, as with the experts of a
    mixture, the numbers tell nothing: then only a size that all calls of a site have in common is known.
    A size that depends on the ids, such as the rows of an expert, is unknown: see `keep_what_agrees`.
    """

    def __init__(self, shapes: Iterable[tuple[Side, str, Shape]]) -> None:
        self._factors: dict[tuple[Side, str, int], str] = {}  # by axis of a tensor
        self._shapes: dict[tuple[Side, str], tuple[int | None, ...]] = {}
        self._common: dict[tuple[Site, str, str], tuple[int | None, ...]] = {}
        for side, name, shape in shapes:
            self._shapes[side, name] = shape
            occurrence, direction = side
            if max(occurrence.counts) > 1:
                key = occurrence.site, direction, name
                self._common[key] = _agreed(self._common.get(key, shape), shape)

    def copy(self) -> KnownSizes:
        """Return the same sizes, to forget some of them."""
        copied = KnownSizes(())
        copied._factors |= self._factors
        copied._shapes |= self._shapes
        copied._common |= self._common
        return copied

    def keep_what_agrees(self, other: KnownSizes) -> None:
        """Forget each size that another run, of the same model at the same sizes with other ids, has not."""
        for key, shape in self._shapes.items():
            self._shapes[key] = _agreed(shape, other._shapes.get(key, shape))
        for site, shape in self._common.items():
            self._common[site] = _agreed(shape, other._common.get(site, shape))

    def forget_what_moves(self, other: KnownSizes, setting: str, value: int, changed: int) -> None:
        """Forget each size that another run has not, in which a setting of this value was changed alone.

        Where a size is proportional to the setting and to no other one, the setting is noted as its factor.
        """
        known = dict(self._shapes)
        self.keep_what_agrees(other)
        for place, shape in known.items():
            kept, now = list(self._shapes[place]), other._shapes.get(place, shape)
            for axis, (size, before, after) in enumerate(zip(kept, shape, now, strict=False)):
                if size is not None or before is None or after is None or (*place, axis) in self._factors:
                    continue
                if before % value == 0 and before * changed == after * value:
                    kept[axis], self._factors[*place, axis] = before, setting
            self._shapes[place] = tuple(kept)

    def forget_what_moves_only_together(
        self, other: KnownSizes, settings: Mapping[str, int], changed: Mapping[str, int]
    ) -> None:
        """Forget each size that another run, with all settings changed, has not by the factor of the size.

        No setting that is changed alone may move an axis of the size `gcd(a, b)`, or of the larger of two.
        """
        for place, shape in self._shapes.items():
            factors = [self._factors.get((*place, axis)) for axis in range(len(shape))]
            expected = tuple(
                [
                    size if size is None or key is None else size * changed[key] // settings[key]
                    for size, key in zip(shape, factors, strict=True)
                ]
            )
            agreed = _agreed(expected, other._shapes.get(place, expected))
            pairs = zip(shape, agreed, strict=False)  # none where the number of axes differs
            self._shapes[place] = tuple([None if now is None else size for size, now in pairs])
        for site, shape in self._common.items():
            self._common[site] = _agreed(shape, other._common.get(site, shape))

    def agrees_with(self, other: KnownSizes) -> bool:
        """Tell whether another run has the same sizes, as far as they are known."""
        pairs = [(shape, other._shapes.get(place, shape)) for place, shape in self._shapes.items()]
        pairs += [(shape, other._common.get(site, shape)) for site, shape in self._common.items()]
        return all(_agreed(shape, of_other) == shape for shape, of_other in pairs)

    def factor(self, side: Side, name: str, axis: int) -> str | None:
        """Return the setting that is a factor of an axis, where `forget_what_moves` found one."""
        return self._factors.get((side, name, axis))

    def shape(self, side: Side, name: str) -> tuple[int | None, ...]:
        """Return the shape of a tensor, as far as it is known; () for a tensor that is unknown."""
        shape = self._shapes.get((side, name))
        return self._common.get((side[0].site, side[1], name), ()) if shape is None else shape

    def is_of_call(self, side: Side, name: str) -> bool:
        """Tell whether the shape is that of the tensor of this very call, not of all calls at its site."""
        return (side, name) in self._shapes


def _agreed(one: tuple[int | None, ...], other: tuple[int | None, ...]) -> tuple[int | None, ...]:
    if len(one) != len(other):
        return ()
    return tuple([a if a == b else None for a, b in zip(one, other, strict=True)])
