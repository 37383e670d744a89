"""The equal blocks in a row that are one box: those that also take and give the same tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from gptrace.graph.call_tree import CallTree
from gptrace.graph.uses import Place, TensorKey, TensorUses, Use
from gptrace.record import ModuleCall, Trace


@dataclass(frozen=True, slots=True)
class Folds:
    """The calls that are shown as one box.

    `shown_as` has, for each call, the index of the call whose box shows it: its own, or for a call in a
    further block that of the same call in the first block. `layers` has the calls of each folded box, by the
    first.
    """

    shown_as: list[int]
    layers: dict[int, tuple[int, ...]]

    def place(self, place: Place) -> Place:
        """Return where a call or an operation is shown."""
        return self.shown_as[place[0]], place[1]

    def tensor(self, key: TensorKey) -> TensorKey:
        """Return the tensor that stands for this one: in a further block, that of the first block."""
        return (self.shown_as[key[0]], *key[1:]) if isinstance(key[0], int) else key


def folds_of(trace: Trace, tree: CallTree, uses: TensorUses) -> Folds:
    """Find the equal blocks that are one box, also inside of the first of such blocks."""
    blocks = _Blocks(trace.calls, tree, uses)
    shown_as: list[int] = []
    layers: dict[int, tuple[int, ...]] = {}
    first_of: dict[int, int] = {}
    for call in trace.calls:
        parent = call.parent
        if parent is not None and shown_as[parent] != parent:  # inside of a further block
            shown_as.append(shown_as[call.index - (parent - shown_as[parent])])
            continue
        shown_as.append(first_of.get(call.index, call.index))
        if shown_as[-1] != call.index:
            continue
        for group in tree.groups(call, full=False):
            for run in blocks.runs(group):
                if len(run) > 1:
                    layers[run[0]] = run
                    first_of.update(dict.fromkeys(run, run[0]))
    return Folds(shown_as, layers)


class _Input(NamedTuple):
    """Where a use in a block has its tensor from.

    `user` counts from the call of the block. `kind` says whether the tensor was made in the block itself, in
    the one before it, or elsewhere; `made_by` counts from the call of that block. A parameter of the block
    has its path in the block there.
    """

    user: tuple[int, int | None, bool, int]
    kind: Literal["own", "before", "outside"]
    made_by: tuple[object, ...]
    tensor: TensorKey


class _Blocks:
    """Compares blocks that have the same calls and operations by the tensors that they take and give."""

    def __init__(self, calls: Sequence[ModuleCall], tree: CallTree, uses: TensorUses) -> None:
        self._calls, self._tree, self._uses = calls, tree, uses

    def runs(self, group: Sequence[ModuleCall]) -> Iterator[tuple[int, ...]]:
        """Split a group of equal calls into runs that can be one box each."""
        members = [call.index for call in group]
        size = 1 + self._tree.descendants[members[0]]
        start = 0
        while start < len(members):
            run = self._longest_run(members[start:], size) if len(members) - start > 1 else members[start:]
            yield tuple(run)
            start += len(run)

    def _longest_run(self, members: Sequence[int], size: int) -> list[int]:
        """Return the members, from the first on, that are repetitions of one block."""
        run, inputs = [members[0]], self._inputs(members[0], size, before=None)
        given: list[frozenset[object]] = []
        for member in members[1:]:
            further = self._inputs(member, size, before=run[-1])
            leaving = self._given(run[-1], size, following=member)
            if not _is_next(inputs, further, is_second=len(run) == 1) or (given and leaving != given[-1]):
                break
            given.append(leaving)
            run.append(member)
            inputs = further
        # The last block must give to others all that each block before it gives.
        while given and not given[-1] <= self._given(run[-1], size, following=None):
            run.pop()
            given.pop()
        return run

    def _inputs(self, block: int, size: int, *, before: int | None) -> list[_Input]:
        return [
            self._input(use, block, size, before)
            for call in range(block, block + size)
            for use in self._uses.of_call[call]
        ]

    def _input(self, use: Use, block: int, size: int, before: int | None) -> _Input:
        user = (use.user[0] - block, use.user[1], use.leaves, use.number)
        if use.maker is None:
            path, inner = use.origin.parameter, self._calls[block].path + "."
            if path is not None and path.startswith(inner):
                return _Input(user, "own", ("parameter", path.removeprefix(inner)), use.tensor)
            return _Input(user, "outside", (), use.tensor)
        call, op = use.maker
        if block <= call < block + size:
            return _Input(user, "own", (call - block, op, use.origin.output), use.tensor)
        if before is not None and before <= call < before + size:
            return _Input(user, "before", (call - before, op, use.origin.output), use.tensor)
        return _Input(user, "outside", (), use.tensor)

    def _given(self, block: int, size: int, *, following: int | None) -> frozenset[object]:
        """Return the uses of a block's tensors outside of the block and of the block that follows."""
        users = {*range(block, block + size)}
        if following is not None:
            users.update(range(following, following + size))
        return frozenset(
            (use.user, use.leaves, call - block, maker[1], use.origin.output)
            for call in range(block, block + size)
            for use in self._uses.of_maker[call]
            if (maker := use.maker) is not None and use.user[0] not in users
        )


def _is_next(inputs: Sequence[_Input], further: Sequence[_Input], *, is_second: bool) -> bool:
    """Tell whether a block takes its tensors as the block before it does."""
    return len(inputs) == len(further) and all(
        _takes_the_same(one, other, is_second=is_second) for one, other in zip(inputs, further, strict=True)
    )


def _takes_the_same(one: _Input, other: _Input, *, is_second: bool) -> bool:
    if one.user != other.user:
        return False
    if other.kind == "outside":
        return one.kind == "outside" and one.tensor == other.tensor
    if other.kind == "before" and is_second:  # the first block has it from wherever the chain begins
        return one.kind != "own"
    return (one.kind, one.made_by) == (other.kind, other.made_by)
