"""Which tokens each element of each value depends on, by experiment: one token is changed at a time.

A set of positions is a number whose bit t is set where the element depends on the token at t.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.recorded_run import RecordedRun, Value, ValueKey
from gptrace.verify.check.subject import Subject, most_rounding, rounding

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class Dependence:
    """A run, and for each of its values the set of tokens that each element depends on.

    `sets` has int64 tensors of the shape of each value. A value is missing where other runs made it in
    another shape, or not at all. `length` is the number of tokens T, `logits` the value that came out.
    `other_shapes` are the shapes of a run with one token less.
    """

    run: RecordedRun
    ids: Tensor
    length: int
    sets: dict[ValueKey, Tensor]
    logits: Value | None
    other_shapes: dict[ValueKey, tuple[int, ...]]
    _verdicts: dict[ValueKey, bool | None] = field(default_factory=dict)

    def of(self, value: Value) -> Tensor | None:
        """Return the sets of a value, or None where they are unknown."""
        return self.sets.get(value.key)

    def token_axes(self, value: Value) -> list[int]:
        """Return the axes that have a lane for each token: one less where there is one token less.

        There may be a few lanes more, of padding or of vectors that stand before the tokens.
        """
        shape = tuple(value.tensor.shape)
        other = self.other_shapes.get(value.key, ())
        if len(other) != len(shape):
            other = tuple(size - (size == self.length) for size in shape)
        pairs = enumerate(zip(shape, other, strict=True))
        return [axis for axis, (size, less) in pairs if size - less == 1 and size >= self.length]

    def depends(self, value: Value) -> bool:
        """Tell whether a value depends on any token; an unknown one counts as if it did."""
        sets = self.of(value)
        return sets is None or bool(sets.any())

    def violates(self, value: Value) -> bool | None:
        """Tell whether an element depends on a token after every position that it stands at.

        None where that is unknown: for a value that other runs make in another shape, and for one that
        depends on tokens and has no lanes of them. A search for the origin asks for a value again and again.
        """
        if value.key not in self._verdicts:
            self._verdicts[value.key] = self._violates(value)
        return self._verdicts[value.key]

    def _violates(self, value: Value) -> bool | None:
        sets = self.of(value)
        if sets is None:
            return None
        too_late = self.too_late(value)
        if too_late is None:
            return None if bool(sets.any()) else False
        return bool(too_late.any())

    def latest(self, value: Value) -> Tensor | None:
        """Return the last token that each element depends on; -1 for none."""
        sets = self.of(value)
        return None if sets is None else _highest_bit(sets, self.length)

    def lanes(self, value: Value) -> Tensor | None:
        """Return the last position that each element stands at; None for a value without lanes of tokens.

        An element of a matrix of scores, of a query and a key, stands at both.
        """
        lanes = [coordinates(value.tensor, axis) for axis in self.token_axes(value)]
        for axis, count in self._merged_axes(value):
            places = coordinates(value.tensor, axis)
            lanes += [places // count, places % self.length]  # whichever of the two it is
        return torch.stack(lanes).amax(dim=0) if lanes else None

    def _merged_axes(self, value: Value) -> list[tuple[int, int]]:
        """Return the axes that hold tokens and something else, such as heads, and how many of these."""
        other = self.other_shapes.get(value.key, ())
        if len(other) != value.tensor.dim():
            return []
        pairs = [(axis, size, other[axis]) for axis, size in enumerate(value.tensor.shape)]
        return [
            (axis, size - less) for axis, size, less in pairs
            if size - less > 1 and size == (size - less) * self.length
        ]  # fmt: skip

    def too_late(self, value: Value) -> Tensor | None:
        """Return which elements depend on a token after every position that they stand at."""
        latest, lanes = self.latest(value), self.lanes(value)
        return None if latest is None or lanes is None else latest > lanes


def measure_dependence(subject: Subject, length: int | None = None) -> Dependence:
    """Record the model with one token changed at a time, and compare each value of each run."""
    length = length or subject.length
    ids = subject.random_ids(1, length)
    base = subject.record(ids)
    values = base.values_by_key()
    sets = {
        key: torch.zeros((), dtype=torch.int64).expand(value.tensor.shape) for key, value in values.items()
    }
    roundings: dict[ValueKey, float] = {}  # of the values of `base`
    for position in range(length):
        changed = ids.clone()
        changed[0, position] = other_id(subject, ids, position)
        seen = set()
        for value in subject.record(changed).values():
            known = values.get(value.key)
            if known is None or known.tensor.shape != value.tensor.shape:
                continue
            seen.add(value.key)
            is_same = known.tensor.data_ptr() == value.tensor.data_ptr() or torch.equal(
                known.tensor, value.tensor
            )
            if value.key in sets and not is_same:
                if value.key not in roundings:
                    roundings[value.key] = rounding(known.tensor)
                changes = differs(known.tensor, value.tensor, least=roundings[value.key])
                sets[value.key] = sets[value.key] | changes.to(torch.int64) << position
        sets = {key: tensor for key, tensor in sets.items() if key in seen}
    shorter = {value.key: tuple(value.tensor.shape) for value in subject.record(ids[:, :-1]).values()}
    return Dependence(base, ids, length, sets, base.logits, shorter)


def other_id(subject: Subject, ids: Tensor, position: int, salt: int = 0) -> int:
    """Return an id that is not among `ids`, if the vocabulary has one."""
    used = set(ids.flatten().tolist())
    count = subject.ids_below
    start = (int(ids[0, position]) + 1 + salt * 7 + count // 2) % count
    return next(
        (i % count for i in range(start, start + count) if i % count not in used), (start + 1) % count
    )


def differs(a: Tensor, b: Tensor, eps: float | None = None, least: float | None = None) -> Tensor:
    """Return which elements of two tensors of one shape differ by more than rounding.

    `eps` is the precision of the computation, where it is less than that of the tensors. `least` is the
    rounding of `a`, where that is known.
    """
    if not a.is_floating_point():
        return a != b
    least = rounding(a, eps) if least is None else least
    distances = (a - b).abs()
    different = distances > least
    # Seldom does any number differ by so little that the rounding of `b` matters. If the sum is finite, all
    # numbers are.
    if isfinite(distances.sum()) and not (different & (distances <= most_rounding(b, eps))).any():
        return different
    different = distances > max(least, rounding(b, eps))
    # The difference of two infinities is NaN, which is greater than nothing.
    return torch.where(a.isfinite() & b.isfinite(), different, (a != b) & ~(a.isnan() & b.isnan()))


def coordinates(tensor: Tensor, axis: int) -> Tensor:
    """Return for each element of a tensor where it stands on an axis."""
    shape = [1] * tensor.dim()
    shape[axis] = tensor.shape[axis]
    return torch.arange(tensor.shape[axis]).view(shape).expand(tensor.shape)


def _highest_bit(sets: Tensor, length: int) -> Tensor:
    highest = torch.full(sets.shape, -1, dtype=torch.int64)
    for position in range(length):
        highest = torch.where((sets >> position) & 1 == 1, position, highest)
    return highest
