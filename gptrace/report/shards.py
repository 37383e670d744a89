"""The part of one rank and its messages as people read them: `emb_dim/tp`, `all_reduce 48.0 MiB × 8, tp`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from gptrace.record import ModuleCall, OpCall, TensorSpec, Traffic
from gptrace.record.mesh import counted
from gptrace.report.safe_text import visible
from gptrace.translation import joined, words
from gptrace.wording import bracketed, readable_bytes

NOTHING = "–"
WHOLE = words("whole")
_SHOWN = 3  # tensors of one side of a call, or kinds of messages


def local_text(call: ModuleCall | OpCall, mesh_sizes: Mapping[str, int]) -> str:
    """Return the axes of a call's tensors of which this rank has a part: "whole → emb_dim/tp".

    The size stands beside an axis that the ranks do not share evenly: "vocab_size/tp = 6283".
    """
    sides = [side for side in (call.inputs, call.outputs) if side]
    if not sides:
        return NOTHING
    texts = [joined([_local_axes(spec, mesh_sizes) for spec in side[:_SHOWN]]) for side in sides]
    if all(spec.local_shape in (None, spec.shape) for side in sides for spec in side):
        return WHOLE
    return words("{} → {}", *texts) if len(texts) == 2 and texts[0] != texts[1] else texts[0]


def _local_axes(spec: TensorSpec, mesh_sizes: Mapping[str, int]) -> str:
    local = spec.local_shape
    if local is None or local == spec.shape:
        return WHOLE
    if len(spec.split_by) != len(spec.shape):
        return bracketed(local)  # only its sizes are known
    axes = zip(spec.dims, spec.shape, local, spec.split_by, strict=True)
    return joined([_local_axis(*axis, mesh_sizes) for axis in axes if axis[1] != axis[2]], " × ")


def _local_axis(
    name: str, whole: int, local: int, split_by: Sequence[str], mesh_sizes: Mapping[str, int]
) -> str:
    parts = 1
    for dim in split_by:
        parts *= mesh_sizes.get(dim, 1)
    text = "/".join(map(visible, (name, *split_by)))
    return text if local * parts == whole else f"{text} = {local}"


def traffic_text(messages: Sequence[Traffic]) -> str:
    """Return messages as text, those of one kind along one mesh dimension together.

    >>> traffic_text([Traffic("all_reduce", "tp", 8, "bfloat16", 48 << 20, 8)])
    'all_reduce 48.0 MiB × 8, tp'
    """
    groups = by_kind(messages)
    texts = [_group_text(group) for group in groups[:_SHOWN]]
    rest = len(groups) - _SHOWN
    return joined([*texts, *([words("… {} more", rest)] if rest > 0 else [])], "; ") if groups else NOTHING


def by_kind(messages: Sequence[Traffic]) -> list[tuple[Traffic, ...]]:
    """Return the messages in groups of one kind, one mesh dimension and one number of ranks."""

    def key(message: Traffic) -> tuple[str, str, int]:
        return message.mesh_dim, message.kind, message.group_size

    return [tuple(group) for _, group in groupby(sorted(counted(messages), key=key), key)]


def _group_text(group: Sequence[Traffic]) -> str:
    first, kind = group[0], visible(group[0].kind)
    count, total = sum(each.count for each in group), sum(each.total_bytes for each in group)
    where = visible(first.mesh_dim) or words("{} ranks", first.group_size)
    if count == 1:
        return words("{} {}, {}", kind, readable_bytes(total), where)
    if {each.bytes for each in group} == {first.bytes}:
        return words("{} {} × {}, {}", kind, readable_bytes(first.bytes), f"{count:,}", where)
    return words("{} {} in {} messages, {}", kind, readable_bytes(total), f"{count:,}", where)
