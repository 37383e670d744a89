"""A trace → the rows of its table: a tree, cut at a depth, with runs of identical blocks folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gptrace.errors import OptionError
from gptrace.record import ModuleCall, OpCall, Statistics, TensorSpec, Trace
from gptrace.report.safe_text import visible
from gptrace.report.view import View
from gptrace.translation import words
from gptrace.wording import suggestion


@dataclass(frozen=True, slots=True)
class CallRow:
    """One row: a call, a run of calls identical to the row above, or an operation of `call`.

    `label` is safe to show. `guide` is the tree's drawing before it, `below` the drawing on further lines of
    the row. `folded` holds the calls of a run, and `first_label` names the call above that they are identical
    to. `hidden` counts the calls that the row stands for beside its own. `own_seconds` is the time outside
    the calls that `call` made.
    """

    call: ModuleCall
    label: str
    guide: str
    below: str
    folded: tuple[ModuleCall, ...]
    hidden: int
    first_label: str = ""
    op: OpCall | None = None
    own_seconds: float = 0.0

    @property
    def calls(self) -> tuple[ModuleCall, ...]:
        """The calls that the row stands for."""
        return self.folded or (self.call,)

    @property
    def sides(self) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """The inputs and the outputs."""
        call = self.op or self.call
        return call.inputs, call.outputs

    @property
    def statistics(self) -> tuple[Statistics, ...]:
        """The statistics of each call: of its first output that has any."""
        if self.op is not None:
            return ()
        firsts = (next((s.statistics for s in call.outputs if s.statistics), None) for call in self.calls)
        return tuple(statistics for statistics in firsts if statistics is not None)


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


def rows_of(trace: Trace, view: View | None = None) -> list[CallRow]:
    """Return the rows of the table; raise an OptionError where a glob of the view matches nothing."""
    view = view or View()
    calls, matching = _filtered(trace.calls, view.only, view.type)
    tree = CallTree(calls, trace.model.parameters.tied)
    builder = _RowBuilder(tree, view, matching)
    for root in tree.children.get(None, []):
        builder.add(root, visible(label(root, None)), ("", ""))
    return builder.rows


class _RowBuilder:
    """Adds rows in reading order. `matching` holds the indexes of the calls that match; None is all."""

    def __init__(self, tree: CallTree, view: View, matching: set[int] | None) -> None:
        self.rows: list[CallRow] = []
        self._tree, self._view, self._matching = tree, view, matching

    def add(self, call: ModuleCall, text: str, branch: tuple[str, str]) -> None:
        """Add the row of a call, and the rows of what it did, down to the depth of the view."""
        is_cut = self._view.depth is not None and call.depth >= self._view.depth
        hidden = self._tree.descendants[call.index] if is_cut else 0
        self.rows.append(CallRow(call, text, *branch, (), hidden, own_seconds=self._own_seconds(call)))
        if not is_cut:
            self._add_entries(call, branch[1])

    def _add_entries(self, call: ModuleCall, below: str) -> None:
        view, tree = self._view, self._tree
        groups = list(tree.groups(call, full=view.full))
        entries = _entries(self._ops(call), groups, full=view.full or view.type is not None)
        before: ModuleCall | None = None
        for entry in entries:
            is_last = entry is entries[-1]
            if isinstance(entry, OpCall):
                self.rows.append(
                    CallRow(call, visible(entry.name), *_branch(below, is_last), (), 0, op=entry)
                )
                continue
            first, *rest = entry
            own_label = visible(label(first, call))
            text: str = own_label
            if before is not None and not view.full and tree.should_be_identical(before, first, call):
                other, where = visible(label(before, call)), visible(tree.first_difference(before, first))
                text = words("{}, unlike {}", own_label, other)
                if where:
                    text = words("{}, unlike {} at {}", own_label, other, where)
            before = first
            self.add(first, text, _branch(below, is_last and not rest))
            if rest:
                self._add_run(rest, call, own_label, _branch(below, is_last))

    def _add_run(
        self, run: Sequence[ModuleCall], parent: ModuleCall, first_label: str, branch: tuple[str, str]
    ) -> None:
        """Add one row for calls that are identical to the one above."""
        hidden = sum(1 + self._tree.descendants[call.index] for call in run)
        own_seconds = sum(map(self._own_seconds, run))
        text = visible(_run_label(run, parent))
        self.rows.append(
            CallRow(run[0], text, *branch, tuple(run), hidden, first_label, own_seconds=own_seconds)
        )

    def _ops(self, call: ModuleCall) -> Sequence[OpCall]:
        if self._matching is not None and call.index not in self._matching:
            return ()
        glob = self._view.type
        if glob is None or fnmatchcase(call.type, glob):
            return call.ops
        return [op for op in call.ops if fnmatchcase(op.name, glob)]

    def _own_seconds(self, call: ModuleCall) -> float:
        return call.seconds - sum(child.seconds for child in self._tree.below(call))


def _branch(below: str, is_last: bool) -> tuple[str, str]:
    """Return the drawing before the label of a row, and the drawing before the rows below it."""
    return below + ("└ " if is_last else "├ "), below + ("  " if is_last else "│ ")


def _filtered(
    calls: Sequence[ModuleCall], only: str | None, kind: str | None
) -> tuple[Sequence[ModuleCall], set[int] | None]:
    """Return the calls whose path and type match, with their parents, and the indexes of those that match.

    Without a glob: all calls, and None. Raises OptionError where nothing matches.
    """
    if only is None and kind is None:
        return calls, None
    matching = {
        call.index
        for call in calls
        if (only is None or _matches(call.path, only))
        and (
            kind is None or fnmatchcase(call.type, kind) or any(fnmatchcase(op.name, kind) for op in call.ops)
        )
    }
    if not matching:
        if only is not None and not any(_matches(call.path, only) for call in calls):
            parts = dict.fromkeys(
                part for call in calls for part in call.path.split(".") if not part.isdigit()
            )
            raise OptionError(
                f"--only {only} matches no call", suggestion(only, [part for part in parts if part])
            )
        kinds = dict.fromkeys(
            [*(call.type for call in calls), *(op.name for call in calls for op in call.ops)]
        )
        raise OptionError(f"--type {kind} matches no call and no operation", suggestion(str(kind), kinds))
    kept = set(matching)
    for call in reversed(calls):  # a parent stands before its children
        if call.index in kept and call.parent is not None:
            kept.add(call.parent)
    return [call for call in calls if call.index in kept], matching


def _matches(path: str, glob: str) -> bool:
    """Tell whether a glob matches a path, the end of one, or a module around it.

    >>> [_matches("trf_blocks.0.att.W_key", glob) for glob in ("att", "*.att", "0.att", "blocks.0")]
    [True, True, True, False]
    """
    parts = path.split(".")
    ends = range(1, len(parts) + 1)
    return any(fnmatchcase(".".join(parts[start:end]), glob) for end in ends for start in range(end))


def _entries(
    ops_of_call: Sequence[OpCall], groups: list[tuple[ModuleCall, ...]], *, full: bool
) -> list[OpCall | tuple[ModuleCall, ...]]:
    """Return the calls of modules and the operations of one call, in order.

    A call that is one operation, as nn.Linear is, needs no second row for it.
    """
    ops = list(ops_of_call)
    if not groups and len(ops) == 1 and not full and not ops[0].failed:
        return []
    entries: list[OpCall | tuple[ModuleCall, ...]] = []
    for group in groups:
        while ops and ops[0].place <= group[0].index:
            entries.append(ops.pop(0))
        entries.append(group)
    return entries + ops


def _facts(specs: Sequence[TensorSpec]) -> tuple[object, ...]:
    return tuple((spec.name, spec.shape, spec.dims, spec.dtype, spec.device) for spec in specs)


def label(call: ModuleCall, parent: ModuleCall | None) -> str:
    """Return the name of a call below its parent; a second call of the same module is numbered."""
    if parent is None:
        name = call.path or call.type
    else:
        name = call.path.removeprefix(parent.path + ".") if parent.path else call.path
    return f"{name} ({call.call})" if call.call > 1 else name


def _run_label(run: Sequence[ModuleCall], parent: ModuleCall) -> str:
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
