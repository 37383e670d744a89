"""The roles of a model's modules, read from a trace: embeddings, blocks, final norm, output head."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from gptrace.errors import RunError
from gptrace.model.quiet_torch import torch
from gptrace.predict.output_head import may_be_head
from gptrace.record import ModuleCall, Trace
from gptrace.tracing.parameters import ancestors

Module = torch.nn.Module
_LIST_ITEM = re.compile(r"(?P<list>(?:.*\.)?[^.]+)\.(?P<number>[0-9]+)")
# Where no blocks are found, the whole model runs before the head; embeddings are added near its beginning.
_MOST_BEFORE = 16


@dataclass(frozen=True, slots=True)
class ModelStructure:
    """Paths of modules; "" for a role that no module has.

    `other_embeddings` are the tables beside that of the tokens: of positions, or of kinds of tokens. `before`
    are the first of the other modules that run before the first block, or before the head where no blocks
    are found. `between` are the modules that run after the last block and before the head: mostly the
    final norm. `to_logits` lead from the last block to the logits: a module that contains the head, and takes
    one tensor, stands there as a whole. `numbers` tells, by path, which call leads to the logits: the last
    one up to that of the head.
    """

    token_embedding: str
    other_embeddings: tuple[str, ...]
    before: tuple[str, ...]
    blocks: tuple[str, ...]
    between: tuple[str, ...]
    head: str
    to_logits: tuple[str, ...]
    numbers: Mapping[str, int]


def find_model_structure(
    trace: Trace,
    module: Module,
    logits_shape: tuple[int, ...],
    output_head: ModuleCall | None,
    tables_of_ids: Collection[str] = (),
) -> ModelStructure:
    """Return the roles of the modules, as the calls of one forward pass show them.

    `logits_shape` is the (B, T, V) that the model returned, `output_head` the call of the output head.
    `tables_of_ids` are the tables that are known to be asked for the ids.
    """
    calls = [call for call in trace.calls if call.path]
    blocks = block_calls(trace.calls, output_head)
    whole_head = _whole_head(
        [call for call in calls if not isinstance(module.get_submodule(call.path), torch.nn.Sequential)],
        blocks,
        output_head,
        logits_shape,
    )
    table_sizes = {
        call.path: table.num_embeddings
        for call in calls
        if isinstance(table := module.get_submodule(call.path), torch.nn.Embedding)
        and not (blocks and call.index > blocks[0].index)
    }
    # The token embedding is asked for the ids, and has about as many rows as there are logits.
    embeddings = sorted(
        table_sizes, key=lambda path: (path not in tables_of_ids, abs(table_sizes[path] - logits_shape[-1]))
    )
    return ModelStructure(
        token_embedding=embeddings[0] if embeddings else "",
        other_embeddings=tuple(embeddings[1:]),
        before=_before(calls, blocks, output_head, table_sizes),
        blocks=tuple(call.path for call in blocks),
        between=_between(calls, blocks, output_head),
        head=output_head.path if output_head is not None else "",
        to_logits=(*_between(calls, blocks, whole_head), whole_head.path) if whole_head is not None else (),
        numbers=_numbers(calls, output_head),
    )


def _numbers(calls: Sequence[ModuleCall], head: ModuleCall | None) -> dict[str, int]:
    return {call.path: call.call for call in calls if head is not None and call.index <= head.index}


def check_structure_for_lens(structure: ModelStructure, name: str) -> ModelStructure:
    """Raise a RunError for a model without blocks that run once each."""
    blocks = structure.blocks
    if not blocks:
        raise RunError(
            f"{name} has no list of blocks that are called one after the other",
            "gptrace run shows what it has",
        )
    repeated = next((path for path in blocks if blocks.count(path) > 1), None)
    if repeated is not None:
        raise RunError(
            f"{repeated} runs more than once, so {name} has no layers to tell apart",
            "gptrace run shows each of its calls",
        )
    return structure


def _whole_head(
    calls: Sequence[ModuleCall],
    blocks: Sequence[ModuleCall],
    head: ModuleCall | None,
    logits_shape: tuple[int, ...],
) -> ModuleCall | None:
    """Return the outermost call after the blocks that contains the head and takes one tensor, or the head.

    Such a module may compute more than its submodules do, such as an activation; an nn.Sequential, which does
    not, is left out of `calls`.
    """
    if head is None or not blocks:
        return head
    containers = set(ancestors(head.path))
    for call in calls:
        is_after = blocks[-1].index < call.index < head.index
        if is_after and call.path in containers and len(call.inputs) == 1 and may_be_head(call, logits_shape):
            return call
    return head


def block_calls(calls: Sequence[ModuleCall], head: ModuleCall | None = None) -> list[ModuleCall]:
    """Return the calls of the items of one list that call others and return the shape that they take.

    They may differ in class: layers of attention and of state spaces take turns in some models. If the trace
    has operations, other blocks that run before these or after them are found too; see `_whole_line`. Without
    a `head`, the call that made the first output of the model is taken for it.
    """
    head = head or _maker_of_output(calls)
    calls = [call for call in calls if call.path]
    parents = {call.parent for call in calls}
    norms = _norms(calls)
    groups: dict[str, list[ModuleCall]] = {}
    for call in calls:
        item = _LIST_ITEM.fullmatch(call.path)
        # A block may itself be a list that is never called, of a norm and a layer.
        if not item or call.index in norms or not call.inputs or not call.outputs:
            continue
        if call.inputs[0].shape == call.outputs[0].shape:
            groups.setdefault(item["list"], []).append(call)
    block_lists = [
        group
        for group in groups.values()
        if len(group[0].outputs[0].shape) >= 3 and all(call.index in parents for call in group)
    ]

    def rank(group: list[ModuleCall]) -> tuple[bool, int, int]:
        # Several streams of vectors are a fourth axis. A block may contain lists of its own, so the outermost
        # list is taken; of several, the longest.
        return len(group[0].outputs[0].shape) == 3, -group[0].depth, len(group)

    blocks = max(block_lists, key=rank, default=[])
    return _whole_line(calls, blocks, block_lists, head) if blocks else []


def _maker_of_output(calls: Sequence[ModuleCall]) -> ModuleCall | None:
    outputs = calls[0].outputs if calls and not calls[0].path else ()
    maker = outputs[0].origin.call if outputs and outputs[0].origin else None
    return next((call for call in calls if call.index == maker and call.path), None)


def _whole_line(
    calls: Sequence[ModuleCall],
    blocks: Sequence[ModuleCall],
    block_lists: Sequence[Sequence[ModuleCall]],
    head: ModuleCall | None,
) -> list[ModuleCall]:
    """Return blocks with all those that give them their vectors, or take theirs, one after the other.

    The others are in lists, or stand alone beside the blocks and are of a class of theirs. The line ends
    where the head takes its vectors: other calls may take them too, as for a prediction further ahead.
    """
    origins, types = _Origins(calls), {call.type for call in blocks}
    places = origins.around(blocks[0])
    alone = [call for call in calls if call.type in types and call.parent in places]
    # A call stands before those inside it.
    others = sorted((call for group in (*block_lists, alone) for call in group), key=lambda call: call.index)
    line = list(blocks)
    while before := next((call for call in others if origins.lead(call, line[0])), None):
        line.insert(0, before)
    while head is None or not origins.lead(line[-1], head):
        after = next((call for call in others if origins.lead(line[-1], call)), None)
        if after is None:
            break
        line.append(after)
    return line


class _Origins:
    """Tells which calls take what another one returned, if the trace has operations."""

    def __init__(self, calls: Sequence[ModuleCall]) -> None:
        self._calls = {call.index: call for call in calls}
        self._parents = {call.parent for call in calls}

    def around(self, call: ModuleCall) -> set[int]:
        """Return the indices of the calls that a call is inside of."""
        indices, parent = set[int](), call.parent
        while parent is not None:
            indices.add(parent)
            parent = self._calls[parent].parent if parent in self._calls else None
        return indices

    def lead(self, call: ModuleCall, later: ModuleCall) -> bool:
        """Tell whether a later call takes what a call returned, at most through modules with none inside."""
        if later.index <= call.index or call.index in self.around(later):
            return False
        if not call.outputs or not later.inputs:
            return False
        returned, taken = call.outputs[0], later.inputs[0]
        origin = taken.origin
        while origin is not None and origin != returned.origin and self._is_leaf(origin.call):
            origin = self._calls[cast(int, origin.call)].inputs[0].origin
        return returned.shape == taken.shape and origin is not None and origin == returned.origin

    def _is_leaf(self, index: int | None) -> bool:
        return index in self._calls and index not in self._parents and bool(self._calls[index].inputs)


def _norms(calls: Sequence[ModuleCall]) -> set[int]:
    """Return the indices of norms: of modules named so that call no other, or whose calls are all norms.

    A name alone does not tell: that of a block may say where its norms are, as in PreLayerNormLayer.
    """
    norms: set[int] = set()
    inside: dict[int | None, list[bool]] = {}
    for call in reversed(calls):  # those inside a call come after it
        parts = inside.get(call.index)
        is_norm = "norm" in call.type.lower() if parts is None else all(parts)
        norms |= {call.index} if is_norm else set()
        inside.setdefault(call.parent, []).append(is_norm)
    return norms


def _before(
    calls: Sequence[ModuleCall],
    blocks: Sequence[ModuleCall],
    head: ModuleCall | None,
    tables: Collection[str],
) -> tuple[str, ...]:
    """Return the first modules that run before the first block and are no tables."""
    first = blocks[0] if blocks else head
    if first is None:
        return ()
    paths = [call.path for call in calls if call.index < first.index and call.path not in tables]
    return tuple(dict.fromkeys(paths))[:_MOST_BEFORE]


def _between(
    calls: Sequence[ModuleCall], blocks: Sequence[ModuleCall], head: ModuleCall | None
) -> tuple[str, ...]:
    """Return the modules that run after the last block and before the head, without their submodules."""
    if not blocks or head is None:
        return ()
    inside = {blocks[-1].index}  # the calls whose submodules are left out
    containers = set(ancestors(head.path))  # a module that contains the head does not run before it
    paths = []
    # `calls` are in order of entry, so each comes after the call that it was made in.
    for call in calls:
        if not blocks[-1].index < call.index < head.index or call.path in containers:
            continue
        if call.parent not in inside and call.outputs:
            paths.append(call.path)
        inside.add(call.index)
    return tuple(paths)
