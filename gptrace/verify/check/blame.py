"""Find the operation, and the line, that lets a token reach a position where it must not be.

From a value that depends on later tokens the way leads back, as long as an input does so too. The operation
where none does is the origin. Where that one mixes the keys of attention, the mask decides, and the way leads
on along the mask to the line that made it wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.attention import FUSED, Lanes, lanes_around, score_steps
from gptrace.verify.check.dependence import Dependence, coordinates
from gptrace.verify.check.mask_axes import axes_from_the_end, is_turned, is_uniform, separates
from gptrace.verify.check.places import NOWHERE, Place
from gptrace.verify.check.recorded_run import RecordedOperation, RecordedRun, Value, ValueKey
from gptrace.verify.check.source_code import definition_of
from gptrace.verify.check.subject import Construction, Subject
from gptrace.verify.check.transforms import TRANSFORMED

Tensor = torch.Tensor
_LAYOUT = ("view", "reshape", "flatten", "unflatten", "contiguous", "view_as", "reshape_as", "as_strided")
_MOVES = ("roll", "flip", "gather", "index_select", "getitem", "take_along_dim", "setitem_", "cat", "stack")
# What brings vectors to other places, or adds them up there, without a sum over positions.
_MOVES_ALONE = frozenset(
    {
        *_LAYOUT,
        *_MOVES,
        "pad",
        "expand",
        "expand_as",
        "transpose",
        "permute",
        "movedim",
        "swapaxes",
        "unsqueeze",
        "squeeze",
        "chunk",
        "split",
        "unbind",
        "narrow",
        "select",
        "clone",
        "to",
        "add",
        "sub",
        "mul",
        "where",
    }
)
# A masked score must be far below the others. -1e4 is: its weight is 0 in every dtype.
_WEAK = -20.0


@dataclass(frozen=True, eq=False)
class Blame:
    """What is wrong, and where: `key` names the likely mistake, `operation` is the one that shows it."""

    key: str
    place: Place = NOWHERE
    operation: RecordedOperation | None = None
    path: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def blame_leak(dependence: Dependence, value: Value, subject: Subject) -> Blame:
    """Return what lets later tokens reach a value that depends on them, whose lanes are tokens."""
    origin = origin_of(dependence.run, value, dependence.violates)
    if origin is None:
        return Blame("unknown")
    if _mixes_keys(dependence, origin):
        return _blame_attention(dependence, origin, subject)
    if all(dependence.lanes(output) is None for output in origin.outputs):
        return blamed(_key_without_lanes(dependence, origin), origin)
    if origin.name in _LAYOUT:
        return blamed("scrambled", origin)
    if origin.name in _MOVES:
        return blamed("moved", origin)
    return blamed("mixes", origin)


def _key_without_lanes(dependence: Dependence, origin: RecordedOperation) -> str:
    """Return the likely mistake where an operation returns values that have no lanes of tokens."""
    if _pools(dependence, origin):
        return "pooled"
    region, waiting = [origin], [origin]
    while waiting:
        operation = waiting.pop()
        hidden = [output for output in operation.outputs if dependence.violates(output) is None]
        takers = [taker for output in hidden for taker in dependence.run.takers(output)]
        waiting += [taker for taker in takers if taker not in region]
        region += [taker for taker in takers if taker not in region]
    names = {operation.name.rstrip("_") for operation in region}
    return "moved" if names <= _MOVES_ALONE else "other-lanes"


def _pools(dependence: Dependence, operation: RecordedOperation) -> bool:
    """Tell whether an operation makes one value of the lanes of tokens, such as their mean or maximum."""
    if operation.name.rstrip("_") in _MOVES_ALONE:
        return False  # a slice of a single token
    return any(
        output.tensor.dim() < value.tensor.dim() or output.tensor.shape[axis] == 1
        for value in operation.inputs
        for axis in dependence.token_axes(value)
        for output in operation.outputs
    )


def origin_of(
    run: RecordedRun, value: Value, is_wrong: Callable[[Value], bool | None]
) -> RecordedOperation | None:
    """Return the operation that made a value wrong, though none of its inputs was.

    `is_wrong` tells of a value whether it is wrong, or returns None where that is unknown. An unknown input
    is followed only where no input is known to be wrong.
    """
    origin: RecordedOperation | None = None
    seen: set[int] = set()
    while True:
        producers = [operation for operation in run.producers(value) if operation.number not in seen]
        if not producers:
            return origin
        origin = producers[0]
        seen.add(origin.number)
        sources = [source for source in origin.inputs if source.producers]
        wrong = [source for source in sources if is_wrong(source)] or _beyond(run, sources, is_wrong)
        wrong = wrong or [source for source in sources if is_wrong(source) is None]
        if not wrong:
            return origin
        value = min(wrong, key=lambda source: max(source.producers))


def _beyond(run: RecordedRun, sources: list[Value], is_wrong: Callable[[Value], bool | None]) -> list[Value]:
    """Return the nearest wrong values that lie behind values of which nothing is known."""
    waiting, seen = [source for source in sources if is_wrong(source) is None], set[ValueKey]()
    wrong = []
    while waiting and len(seen) < 500:
        value = waiting.pop(0)
        seen.add(value.key)
        for operation in run.producers(value):
            for source in operation.inputs:
                mark = is_wrong(source) if source.producers else False
                wrong += [source] * bool(mark)
                waiting += [source] * (mark is None and source.key not in seen)
    return wrong


def called_at(
    run: RecordedRun, operation: RecordedOperation, is_wrong: Callable[[Value], bool | None]
) -> Place:
    """Return the line to blame for an operation.

    Where it is in a helper that was called several times, and one of these calls is right, that is the line
    that called the helper.
    """
    place = operation.place
    if place.outer is None:
        return place
    twins = [
        other for other in run.operations if other.key[:4] == operation.key[:4] and other is not operation
    ]
    if any(is_wrong(output) is False for twin in twins for output in twin.outputs):
        return place.outer
    return place


def _mixes_keys(dependence: Dependence, operation: RecordedOperation) -> bool:
    axes = [len(dependence.token_axes(output)) for output in operation.outputs]
    if operation.name in FUSED:
        return True
    if operation.name == TRANSFORMED:  # what it computes is unknown
        return False
    # The scores, or a sum over them, such as the denominator of a softmax that is written out.
    has_matrix = any(
        len(dependence.token_axes(value)) >= 2 and dependence.depends(value) for value in operation.inputs
    )
    return has_matrix or any(count >= 2 for count in axes)


def _blame_attention(dependence: Dependence, origin: RecordedOperation, subject: Subject) -> Blame:
    """Return what is wrong with the mask of the attention that `origin` belongs to."""
    mask, applied = mask_before(dependence, origin)
    if mask is None or applied is None:
        unused = _mask_beside(dependence, origin)
        if unused is not None:
            return blamed("mask-late" if unused.number > origin.number else "mask-discarded", unused)
        return blamed("no-mask", origin)
    lanes = lanes_around(dependence, origin)
    axes = axes_from_the_end(applied, lanes)
    if not separates(mask.tensor, axes):
        return _wrong_mask(dependence, mask, applied, subject, axes)
    if applied is origin:
        return blamed("mask-inverted", applied)
    scores = applied.outputs[0]
    later = _coordinates_later(dependence, applied, lanes)
    sets = dependence.of(scores)
    if sets is None or bool((sets[later] != 0).any()):
        return blamed("mask-inverted", applied)
    if float(scores.tensor[later].max()) > _WEAK * max(1.0, float(scores.tensor[~later].abs().max())):
        return blamed("mask-weak", applied)
    if "softmax" in origin.name:
        return blame_axis_of(origin, lanes)
    revealing = _revealing_step(dependence, origin, lanes)
    if revealing is None:
        return blamed("mixes-keys", origin)
    return blamed("softmax-twice" if "softmax" in revealing.name else "mixes-keys", revealing)


def _revealing_step(
    dependence: Dependence, origin: RecordedOperation, lanes: Lanes
) -> RecordedOperation | None:
    """Return the first step before `origin` that gives weight to later keys whose weight was 0."""
    for step in _steps_before(dependence, origin):
        weights = step.outputs[0]
        before = next((v for v in step.inputs if v.tensor.shape == weights.tensor.shape), None)
        if before is None or len(dependence.token_axes(weights)) < 2:
            continue
        later = _coordinates_later(dependence, step, lanes)
        if not bool(before.tensor[later].any()) and bool(weights.tensor[later].any()):
            return step
    return None


def _steps_before(dependence: Dependence, origin: RecordedOperation) -> list[RecordedOperation]:
    """Return the operations that lead to the matrix of scores or weights that `origin` takes, in order."""
    matrix = next(
        (v for v in origin.inputs if len(dependence.token_axes(v)) >= 2 and dependence.depends(v)), None
    )
    return [] if matrix is None else score_steps(dependence, matrix)


def _coordinates_later(dependence: Dependence, step: RecordedOperation, lanes: Lanes) -> Tensor:
    """Return which elements of the matrix of scores that a step makes are those of a key after the query."""
    scores = step.outputs[0]
    queries, keys = lanes.get(step.number) or dependence.token_axes(scores)[-2:]
    return coordinates(scores.tensor, keys) > coordinates(scores.tensor, queries)


def mask_before(
    dependence: Dependence, origin: RecordedOperation
) -> tuple[Value | None, RecordedOperation | None]:
    """Return the mask that the scores met before `origin`, or in it, and the operation that applied it."""
    for step in (origin, *reversed(_steps_before(dependence, origin))):
        for value in step.inputs:
            if is_mask(dependence, value):
                return value, step
    return None, None


def is_mask(dependence: Dependence, value: Value) -> bool:
    """Tell whether a value is a matrix over queries and keys that depends on no token."""
    return len(dependence.token_axes(value)) >= 2 and not dependence.depends(value)


def _mask_beside(dependence: Dependence, origin: RecordedOperation) -> RecordedOperation | None:
    """Return an operation of the same module that masks a matrix, but too late or without any use."""
    for operation in dependence.run.operations:
        is_near = operation.path == origin.path and abs(operation.number - origin.number) < 16
        if not is_near or not any(is_mask(dependence, value) for value in operation.inputs):
            continue
        matrices = [
            v for v in operation.inputs if len(dependence.token_axes(v)) >= 2 and dependence.depends(v)
        ]
        is_used = operation is origin or dependence.run.leads_to(operation, *origin.inputs)
        if matrices and operation.key[:2] == origin.key[:2] and not is_used:
            return operation
    return None


def _wrong_mask(
    dependence: Dependence,
    mask: Value,
    applied: RecordedOperation,
    subject: Subject,
    axes: tuple[int, int],
) -> Blame:
    """Return the line after which a mask no longer tells later keys from earlier ones."""
    chain = making_of(dependence.run, subject.construction, mask)
    first = next(
        index for index in range(len(chain))
        if not any(separates(value.tensor, axes) for value, _ in chain[index:])
    )  # fmt: skip
    told = next(
        (index for index in range(first, len(chain)) if not is_uniform(chain[index][0].tensor)), first
    )
    value, maker = chain[told]
    key = "mask-uniform" if is_uniform(mask.tensor) else "mask-wrong"
    details = {"transpose": ".mT"} if is_turned(axes) else {}
    if maker is not None:
        return Blame(key, maker.place, applied, applied.path, details)
    place = definition_of(subject.module, value.origin) if value.origin else applied.place
    return Blame(key, place if place.file else applied.place, applied, applied.path, details)


def making_of(
    run: RecordedRun, construction: Construction, value: Value
) -> list[tuple[Value, RecordedOperation | None]]:
    """Return the values that led to a constant, each with the operation that made it, the first one first.

    A buffer is followed into the constructor of its module, where that was recorded.
    """
    chain: list[tuple[Value, RecordedOperation | None]] = []
    current: Value | None = value
    while current is not None and len(chain) < 30:
        producers = run.producers(current)
        if not producers and current.origin in construction.made:
            run, current = construction.run, construction.made[current.origin]
            producers = run.producers(current)
        chain.append((current, producers[0] if producers else None))
        inputs = producers[0].inputs if producers else ()
        current = max(inputs, key=lambda v: v.tensor.numel(), default=None)
        if current is not None and current.tensor.dim() < 2:
            current = None
    return chain[::-1]


def blame_axis_of(softmax: RecordedOperation, lanes: Lanes) -> Blame:
    """Blame a softmax for running over another axis than the keys, which mostly are the last one."""
    blame = blamed("softmax-axis", softmax)
    if is_turned(lanes.get(softmax.number)):
        blame.details["axis"] = lanes[softmax.number][1] - softmax.outputs[0].tensor.dim()
    return blame


def blamed(key: str, operation: RecordedOperation) -> Blame:
    """Blame an operation, and the line that called it."""
    return Blame(key, operation.place, operation, operation.path, {"operation": operation.name})
