"""The calls of a trace by parent, with the runs of identical blocks that tables and pictures fold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gptrace.record import ModuleCall, TensorSpec


class CallTree:
    """The calls of a trace by parent, and a number for each subtree: identical subtrees have the same."""

    def __init__(self, calls: Sequence[ModuleCall], tied: Sequence[Sequence[str]] = ()) -> None:
        # Modules that share a parameter do not fold: their sum would count it more than once.
        self._sharing = {name.rpartition(".")[0] for names in tied for name in names}
        self.children: dict[int | None, list[ModuleCall]] = {}
        self.subtrees: dict[int, int] = {}
        self.descendants: dict[int, int] = {}
        for call in calls:
            self.children.setdefault(call.parent, []).append(call)
        numbers: dict[object, int] = {}
        for call in reversed(calls):  # a parent stands before its children
            below = self.below(call)
            subtree = (
                call.path if call.path in self._sharing else None,
                call.type,
                _facts(call.inputs),
                _facts(call.outputs),
                call.parameters,
                call.macs,
                call.macs_unknown,
                call.failed,
                tuple((op.name, _facts(op.inputs), _facts(op.outputs)) for op in call.ops),
                tuple((label(child, call), self.subtrees[child.index]) for child in below),
            )
            self.subtrees[call.index] = numbers.setdefault(subtree, len(numbers))
            self.descendants[call.index] = sum(1 + self.descendants[child.index] for child in below)

    def below(self, call: ModuleCall) -> list[ModuleCall]:
        """Return the calls that `call` made."""
        return self.children.get(call.index, [])

    def groups(self, parent: ModuleCall, *, full: bool) -> Iterator[tuple[ModuleCall, ...]]:
        """Yield the calls below `parent`: each alone, or with the identical ones after it."""
        group: list[ModuleCall] = []
        for call in [*self.below(parent), None]:
            if group and (call is None or full or not self._identical(group[0], call, parent)):
                # Two calls of one module in a row are two lines either way.
                if len(group) < 3 and len({member.path for member in group}) == 1:
                    yield from ((member,) for member in group)
                else:
                    yield tuple(group)
                group = []
            if call is not None:
                group.append(call)

    def _identical(self, first: ModuleCall, call: ModuleCall, parent: ModuleCall) -> bool:
        # Numbered siblings are copies of each other; W_query and W_key have the same shapes and are not.
        # Calls of one module are repetitions.
        same = first.path == call.path or self.are_siblings(first, call, parent)
        return same and self.subtrees[first.index] == self.subtrees[call.index]

    def are_siblings(self, first: ModuleCall, call: ModuleCall, parent: ModuleCall) -> bool:
        """Tell whether two calls are of numbered modules of one list."""
        (list_of_first, number_of_first), (list_of_call, number) = (
            _numbered(label(sibling, parent)) for sibling in (first, call)
        )
        return bool(number_of_first and number) and list_of_first == list_of_call

    def should_be_identical(self, first: ModuleCall, call: ModuleCall, parent: ModuleCall) -> bool:
        """Tell whether two calls are blocks of one type in one list, which nearly always are copies."""
        are_blocks = bool(self.below(first) and self.below(call)) and first.type == call.type
        return are_blocks and self.are_siblings(first, call, parent)

    def first_difference(self, first: ModuleCall, call: ModuleCall) -> str:
        """Return the path of the innermost difference below two calls that should be identical."""
        pairs = zip(self.below(first), self.below(call), strict=False)
        for child, other in pairs:
            if label(child, first) != label(other, call):
                break
            if self.subtrees[child.index] != self.subtrees[other.index]:
                inner = self.first_difference(child, other)
                return label(other, call) + (f".{inner}" if inner else "")
        return ""


def label(call: ModuleCall, parent: ModuleCall | None) -> str:
    """Return the name of a call below its parent; a second call of the same module is numbered."""
    if parent is None:
        name = call.path or call.type
    else:
        name = call.path.removeprefix(parent.path + ".") if parent.path else call.path
    return f"{name} ({call.call})" if call.call > 1 else name


def run_label(run: Sequence[ModuleCall], parent: ModuleCall | None) -> str:
    """Return the name of several equal calls in a row: `0–11`, or `drop (2–3)` for calls of one module."""
    first, last = label(run[0], parent), label(run[-1], parent)
    if len(run) > 1 and run[0].path == run[-1].path:  # calls of one module
        return f"{first.removesuffix(')')}–{run[-1].call})"
    return first if first == last else f"{first}–{_numbered(last)[1]}"


def _numbered(name: str) -> tuple[str, str]:
    """Split the number of a block from the name of the list that it is in, which is never called itself.

    >>> _numbered("layers.11"), _numbered("3"), _numbered("W_query")
    (('layers.', '11'), ('', '3'), ('W_query', ''))
    """
    place, dot, number = name.rpartition(".")
    return (place + dot, number) if number.isdigit() else (name, "")


def _facts(specs: Sequence[TensorSpec]) -> tuple[object, ...]:
    return tuple((spec.name, spec.shape, spec.dims, spec.dtype, spec.device) for spec in specs)
