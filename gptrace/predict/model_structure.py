"""The roles of a model's modules, read from a trace: embeddings, blocks, final norm, output head."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gptrace.errors import OptionError, RunError
from gptrace.model.quiet_torch import torch
from gptrace.record import ModuleCall, Trace
from gptrace.tracing.parameters import ancestors

Module = torch.nn.Module
_LIST_ITEM = re.compile(r"(?P<list>(?:.*\.)?[^.]+)\.(?P<number>[0-9]+)")


@dataclass(frozen=True, slots=True)
class ModelStructure:
    """Paths of modules; "" for a role that no module has.

    `between` are the modules that run after the last block and before the head: mostly the final norm.
    """

    token_embedding: str
    position_embedding: str
    blocks: tuple[str, ...]
    between: tuple[str, ...]
    head: str


def find_model_structure(
    trace: Trace, module: Module, logits_shape: tuple[int, ...], head: str | None = None
) -> ModelStructure:
    """Return the roles of the modules, as the calls of one forward pass show them.

    `logits_shape` is the (B, T, V) that the model returned. `head` is the path of the output head, for a
    model in which it is not found. Raises an OptionError if that module did not run, or returns no logits.
    """
    calls = [call for call in trace.calls if call.path]
    output_head = (
        _output_head(calls, logits_shape) if head is None else _named_head(calls, logits_shape, head)
    )
    blocks = _blocks(calls)
    table_sizes = {
        call.path: table.num_embeddings
        for call in calls
        if isinstance(table := module.get_submodule(call.path), torch.nn.Embedding)
        and not (blocks and call.index > blocks[0].index)
    }
    # The token embedding has about as many rows as there are logits; the other one is for positions.
    embeddings = sorted(table_sizes, key=lambda path: abs(table_sizes[path] - logits_shape[-1]))
    return ModelStructure(
        token_embedding=embeddings[0] if embeddings else "",
        position_embedding=embeddings[1] if embeddings[1:] else "",
        blocks=tuple(call.path for call in blocks),
        between=_between(calls, blocks, output_head),
        head=output_head.path if output_head is not None else "",
    )


def check_structure_for_lens(structure: ModelStructure, name: str) -> ModelStructure:
    """Raise a RunError for a model without a head, or without blocks that run once each."""
    if not structure.head:
        raise RunError(
            f"no module of {name} makes the logits", "name the output layer with --head, as in --head lm_head"
        )
    blocks = structure.blocks
    if not blocks:
        raise RunError(
            f"{name} has no list of blocks that run one after the other", "gptrace run shows what it has"
        )
    repeated = next((path for path in blocks if blocks.count(path) > 1), None)
    if repeated is not None:
        raise RunError(
            f"{repeated} runs more than once, so {name} has no layers to tell apart",
            "gptrace run shows each of its calls",
        )
    return structure


def _output_head(calls: Sequence[ModuleCall], logits_shape: tuple[int, ...]) -> ModuleCall | None:
    """Return the last call of a leaf with parameters whose output has the shape of the logits."""
    leaves = (call for call in reversed(_leaves(calls)) if call.parameters.own)
    return next((call for call in leaves if _may_be_head(call, logits_shape)), None)


def _named_head(calls: Sequence[ModuleCall], logits_shape: tuple[int, ...], path: str) -> ModuleCall:
    """Return the last call of the module that --head names."""
    call = next((call for call in reversed(calls) if call.path == path), None)
    if call is not None and _may_be_head(call, logits_shape):
        return call
    problem = "is no module that ran" if call is None else "makes no logits"
    leaves = _leaves(calls)
    heads = [leaf for leaf in leaves if _may_be_head(leaf, logits_shape)]
    paths = [leaf.path for leaf in heads or leaves]
    raise OptionError(f"--head {path!r} {problem}", f"it may be one of: {', '.join(dict.fromkeys(paths))}")


def _leaves(calls: Sequence[ModuleCall]) -> list[ModuleCall]:
    """Return the calls that called no other module and returned tensors."""
    parents = {call.parent for call in calls}
    return [call for call in calls if call.index not in parents and call.outputs]


def _may_be_head(call: ModuleCall, logits_shape: tuple[int, ...]) -> bool:
    """Tell whether the output of a call may be the logits (B, T, V), or some rows of them."""
    shape = call.outputs[0].shape if call.outputs else ()
    return len(shape) == 3 and (shape[0], shape[-1]) == (logits_shape[0], logits_shape[-1])


def _blocks(calls: Sequence[ModuleCall]) -> list[ModuleCall]:
    """Return the calls of the items of one list that are of one class and return the shape that they take."""
    groups: dict[str, list[ModuleCall]] = {}
    for call in calls:
        item = _LIST_ITEM.fullmatch(call.path)
        if item and call.inputs and call.outputs and call.inputs[0].shape == call.outputs[0].shape:
            groups.setdefault(item["list"], []).append(call)
    block_lists = [
        group
        for group in groups.values()
        if len({call.type for call in group}) == 1 and len(group[0].outputs[0].shape) == 3
        and any(call.parent == group[0].index for call in calls)
    ]  # fmt: skip
    # A block may contain lists of its own, so the outermost list is taken; of several, the longest.
    return max(block_lists, key=lambda group: (-group[0].depth, len(group)), default=[])


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
