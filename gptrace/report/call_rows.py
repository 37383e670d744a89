"""A trace → the rows of its table: a tree, cut at a depth, with runs of identical blocks folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from gptrace.errors import OptionError
from gptrace.graph.call_tree import CallTree, label, run_label
from gptrace.record import Mesh, ModuleCall, OpCall, Statistics, TensorSpec, Trace
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
    the calls that `call` made. `mesh` is what the model is spread over.
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
    mesh: Mesh | None = None

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


def rows_of(trace: Trace, view: View | None = None) -> list[CallRow]:
    """Return the rows of the table; raise an OptionError where a glob of the view matches nothing."""
    view = view or View()
    calls, matching = _filtered(trace.calls, view.only, view.type)
    tree = CallTree(calls, trace.model.parameters.tied)
    builder = _RowBuilder(tree, view, matching)
    for root in tree.children.get(None, []):
        builder.add(root, visible(label(root, None)), ("", ""))
    if trace.mesh is None:
        return builder.rows
    return [replace(row, mesh=trace.mesh) for row in builder.rows]


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
        text = visible(run_label(run, parent))
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


def matching_calls(calls: Sequence[ModuleCall], only: str) -> list[ModuleCall]:
    """Return the calls whose path a glob matches; raise an OptionError where there is none."""
    _, matching = _filtered(calls, only, None)
    return [call for call in calls if matching is not None and call.index in matching]


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
