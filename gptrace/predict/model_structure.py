"""Which module of a model is what, as a trace shows: embeddings, blocks, final norm, output head."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gptrace.errors import OptionError, RunError
from gptrace.model.quiet_torch import torch
from gptrace.record import ModuleCall, Trace
from gptrace.tracing.parameters import ancestors

Module = torch.nn.Module
_IN_A_LIST = re.compile(r"(?P<list>(?:.*\.)?[^.]+)\.(?P<number>[0-9]+)")


@dataclass(frozen=True, slots=True)
class ModelStructure:
    """Paths of modules. `between` are those between the last block and the head: the final norm, mostly.

    `head` is "" where no module makes the logits; the embeddings are "" where there are none.
    """

    token_embedding: str
    position_embedding: str
    blocks: tuple[str, ...]
    between: tuple[str, ...]
    head: str


def find_model_structure(
    trace: Trace, module: Module, logits: tuple[int, ...], head: str | None = None
) -> ModelStructure:
    """Return which module is what, as the calls of one forward pass show it.

    `logits` is the shape of what the model returned; `head` names the output head for a model in which it
    cannot be found. Raises an OptionError for a `head` that never ran.
    """
    calls = [call for call in trace.calls if call.path]
    output_head = _head(calls, logits, head)
    blocks = _blocks(calls)
    tables = {
        call.path: table.num_embeddings
        for call in calls
        if isinstance(table := module.get_submodule(call.path), torch.nn.Embedding)
        and not (blocks and call.index > blocks[0].index)
    }
    # That of the tokens has a row for each logit, or nearly: the other is for positions.
    embeddings = sorted(tables, key=lambda path: abs(tables[path] - logits[-1]))
    return ModelStructure(
        token_embedding=embeddings[0] if embeddings else "",
        position_embedding=embeddings[1] if embeddings[1:] else "",
        blocks=tuple(call.path for call in blocks),
        between=_between(calls, blocks, output_head),
        head=output_head.path if output_head is not None else "",
    )


def check_structure_for_lens(anatomy: ModelStructure, name: str) -> ModelStructure:
    """Raise a RunError for a model whose layers cannot be read one by one."""
    if not anatomy.head:
        raise RunError(
            f"no module of {name} makes the logits", "name the output layer with --head, as in --head lm_head"
        )
    if not anatomy.blocks:
        raise RunError(
            f"{name} has no list of blocks that run one after the other", "gptrace run shows what it has"
        )
    again = next((path for path in anatomy.blocks if anatomy.blocks.count(path) > 1), None)
    if again is not None:
        raise RunError(
            f"{again} runs more than once, so {name} has no layers to tell apart",
            "gptrace run shows each of its calls",
        )
    return anatomy


def _head(calls: Sequence[ModuleCall], logits: tuple[int, ...], named: str | None) -> ModuleCall | None:
    """Return the last call of a leaf with a weight whose output has the shape of the logits."""
    parents = {call.parent for call in calls}
    leaves = [call for call in calls if call.index not in parents and call.outputs]
    if named is not None:
        found = next((call for call in reversed(calls) if call.path == named), None)
        likely = [call.path for call in leaves if _makes(call, logits)]
        if found is None or not _makes(found, logits):
            what = "is no module that ran" if found is None else "makes no logits"
            known = ", ".join(dict.fromkeys(likely or [call.path for call in leaves]))
            raise OptionError(f"--head {named!r} {what}", f"it may be one of: {known}")
        return found
    made = (call for call in reversed(leaves) if call.parameters.own and _makes(call, logits))
    return next(made, None)


def _makes(call: ModuleCall, logits: tuple[int, ...]) -> bool:
    """Tell whether what leaves a call can be the logits, of all positions or of some."""
    shape = call.outputs[0].shape if call.outputs else ()
    return len(shape) == 3 and (shape[0], shape[-1]) == (logits[0], logits[-1])


def _blocks(calls: Sequence[ModuleCall]) -> list[ModuleCall]:
    """Return the calls of the members of one list, all of one class, that keep the shape of what they get."""
    groups: dict[str, list[ModuleCall]] = {}
    for call in calls:
        found = _IN_A_LIST.fullmatch(call.path)
        if found and call.inputs and call.outputs and call.inputs[0].shape == call.outputs[0].shape:
            groups.setdefault(found["list"], []).append(call)
    alike = [
        group
        for group in groups.values()
        if len({call.type for call in group}) == 1 and len(group[0].outputs[0].shape) == 3
        and any(call.parent == group[0].index for call in calls)
    ]  # fmt: skip
    # The outermost, then the longest: a block may hold lists of its own.
    return max(alike, key=lambda group: (-group[0].depth, len(group)), default=[])


def _between(
    calls: Sequence[ModuleCall], blocks: Sequence[ModuleCall], head: ModuleCall | None
) -> tuple[str, ...]:
    """Return what runs after the last block and before the head, without what runs inside of that."""
    if not blocks or head is None:
        return ()
    inside = {blocks[-1].index}
    around = set(ancestors(head.path))  # a container of the head is none of what stands before it
    found = []
    for call in calls:
        if call.index <= blocks[-1].index or call.index >= head.index:
            continue
        if call.path in around:
            continue
        if call.parent not in inside and call.outputs:
            found.append(call.path)
        inside.add(call.index)
    return tuple(found)
