"""`batch`: a prompt's logits are the same alone, among other prompts, and in any order of them."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.blame import Blame, blamed, origin_of
from gptrace.verify.check.dependence import differs
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, only_if, unjudged
from gptrace.verify.check.recorded_run import RecordedRun, Value, ValueKey, may_be_ids
from gptrace.verify.check.several_prompts import judge_refusal
from gptrace.verify.check.subject import CannotRunError, largest_difference

Tensor = torch.Tensor
_PROMPTS = 3
_LAYOUT = ("view", "reshape", "flatten", "unflatten", "contiguous")


@only_if("is_finite", "is_deterministic")
def check(experiments: Experiments) -> Finding:
    """Run three prompts alone, together, and together in another order."""
    subject = experiments.subject
    ids = subject.random_ids(_PROMPTS, subject.length)
    alone = torch.cat([subject.logits(row[None]) for row in ids])
    try:
        together = subject.logits(ids)
        turned = subject.logits(ids.flip(0)).flip(0)
    except CannotRunError as error:
        return judge_refusal(experiments, ids, error)
    tolerance = experiments.rounding(alone)
    difference = max(largest_difference(alone, other) for other in (together, turned))
    if experiments.may_be_rounding(difference, tolerance):
        return unjudged("rounding", difference=difference)
    if difference <= tolerance:
        return Finding(True, "holds", {"count": _PROMPTS}, difference, tolerance)
    return Finding(False, "fails", {"count": _PROMPTS}, difference, tolerance, _blame(experiments, ids))


def _blame(experiments: Experiments, ids: Tensor) -> Blame | None:
    """Follow the first prompt: the values of its lanes must be those that it has alone."""
    together = experiments.subject.record(ids)
    from_ids = _made_of_ids(together)
    for row in range(len(ids)):
        alone = experiments.subject.record(ids[row : row + 1]).values_by_key()

        def is_wrong(value: Value, row: int = row, alone: dict[ValueKey, Value] = alone) -> bool | None:
            if value.producers and not from_ids.intersection(value.producers):
                return False
            other = alone.get(value.key)
            lane = None if other is None else lane_of(value.tensor, other.tensor, row, len(ids))
            return (
                None
                if lane is None or other is None
                else bool(differs(lane, other.tensor, experiments.eps).any())
            )

        if together.logits is None or not is_wrong(together.logits):
            continue
        origin = origin_of(together, together.logits, is_wrong)
        if origin is not None:
            return blamed("batch-scrambled" if origin.name in _LAYOUT else "batch-mixed", origin)
    return None


def _made_of_ids(run: RecordedRun) -> set[int]:
    """Return the numbers of the operations to which data of the ids flows, and not their shape alone."""
    reached: set[int] = set()
    for operation in run.operations:
        if any(may_be_ids(v) or reached.intersection(v.producers) for v in operation.inputs):
            reached.add(operation.number)
    return reached


def lane_of(tensor: Tensor, alone: Tensor, row: int, rows: int) -> Tensor | None:
    """Return the part of a tensor that belongs to one prompt, in the shape that it has alone, or None.

    The axis of prompts is the one that is `rows` times as long as it is alone.
    """
    if tensor.shape == alone.shape:
        return tensor  # the same for every prompt, such as a mask
    if tensor.dim() != alone.dim():
        return None
    longer = [axis for axis in range(tensor.dim()) if tensor.shape[axis] != alone.shape[axis]]
    if len(longer) != 1 or tensor.shape[longer[0]] != rows * alone.shape[longer[0]]:
        return None
    size = alone.shape[longer[0]]
    return tensor.narrow(longer[0], row * size, size)
