"""`context`: context_length tokens run; one more is refused or handled, not answered from wrong positions."""

from __future__ import annotations

from gptrace.model.quiet_torch import torch
from gptrace.verify.check.blame import Blame, blamed
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, unjudged
from gptrace.verify.check.places import find_place_of_error
from gptrace.verify.check.recorded_run import RecordedOperation, RecordedRun, Value, ValueKey
from gptrace.verify.check.subject import CannotRunError, largest_difference, rounding
from gptrace.wording import one_line

Tensor = torch.Tensor
_LONGEST = 4096
_SEQUENCE_FUNCTIONS = ("embedding", "getitem", "index_select", "take", "gather")


def check(experiments: Experiments) -> Finding:
    """Run context_length tokens, and one more; see which positions the last token gets."""
    subject, length = experiments.subject, experiments.subject.context
    if length is None:
        return unjudged("no_length")
    if length > _LONGEST:
        return unjudged("too_long", length=length)
    ids = subject.random_ids(1, length + 1)
    try:
        subject.logits(ids[:, :length])
    except CannotRunError as error:
        subject.logits(ids[:, :2])  # else it is not the length that is refused
        figures = {"length": length, "error": one_line(error, 160)}
        return Finding(False, "refused", figures, blame=_raising(experiments, ids[:, :length]))
    with subject.running():
        try:
            output = subject.call(ids)
        except CannotRunError as error:
            return Finding(True, "holds", {"length": length, "error": one_line(error, 100)})
        try:
            subject.logits_in(output, ids)
        except CannotRunError:
            return _other_length(experiments, ids, length)
    return _positions(experiments, ids, length)


def _positions(experiments: Experiments, ids: Tensor, length: int) -> Finding:
    """Look for a row of a table of positions that two tokens share only once the context is exceeded."""
    longer = experiments.subject.record(ids)
    within = experiments.subject.record(ids[:, :length]).values_by_key()
    for operation in longer.operations:
        for value in operation.outputs:
            same = within.get(value.key)
            if (
                same is None
                or not value.tensor.is_floating_point()
                or operation.name not in _SEQUENCE_FUNCTIONS
            ):
                continue
            if _depends_on_tokens(experiments, value):
                continue
            shared = _shared_row(value, same, length)
            if shared is not None:
                key = "clamped" if shared == length - 1 else "wrapped"
                figures = {"length": length, "position": shared}
                first = _first_shared(longer, within, operation, length)
                return Finding(False, key, figures, blame=blamed(f"positions-{key}", first))
    return Finding(True, "goes_on", {"length": length})


def _first_shared(
    longer: RecordedRun, within: dict[ValueKey, Value], lookup: RecordedOperation, length: int
) -> RecordedOperation:
    """Return the operation before a look-up that gave two positions one number, or the look-up."""
    found, waiting = lookup, list(lookup.inputs)
    while waiting:
        value = waiting.pop()
        for operation in longer.producers(value):
            same = within.get(value.key)
            if same is not None and _shared_row(value, same, length) is not None:
                found = operation
            waiting += operation.inputs
    return found


def _depends_on_tokens(experiments: Experiments, value: Value) -> bool:
    known = experiments.dependence.sets.get(value.key)
    return known is None or bool(known.any())


def _shared_row(value: Value, within: Value, length: int) -> int | None:
    """Return the position whose row the token beyond the context gets, where rows within differ."""
    for axis, (size, before) in enumerate(zip(value.tensor.shape, within.tensor.shape, strict=False)):
        if (size, before) != (length + 1, length):
            continue
        rows = value.tensor.movedim(axis, 0).reshape(length + 1, -1).double()
        if len(torch.unique(rows[:length], dim=0)) < length:
            return None  # rows repeat in the context already
        distances = (rows[:length] - rows[length]).abs().amax(dim=1)
        nearest = int(distances.argmin())
        return nearest if float(distances[nearest]) <= rounding(rows) else None
    return None


def _other_length(experiments: Experiments, ids: Tensor, length: int) -> Finding:
    """Judge a forward that returns fewer positions: to keep the last tokens is right, the first is not."""
    subject = experiments.subject
    with subject.running():
        output = subject.call(ids)
        for kept in (length, 1):
            try:
                logits = subject.logits_in(output, ids[:, :kept]).clone()
            except CannotRunError:
                continue
            break
        else:
            return Finding(True, "goes_on", {"length": length})
    last = subject.logits(ids[:, 1:])[:, -1]
    if largest_difference(logits[:, -1], last) <= experiments.rounding(last):
        return Finding(True, "slides", {"length": length})
    return Finding(False, "cut", {"length": length}, blame=_cutting(experiments, ids))


def _cutting(experiments: Experiments, ids: Tensor) -> Blame | None:
    run: RecordedRun = experiments.subject.record(ids)
    for operation in run.operations:
        if operation.name == "getitem" and not operation.inputs[0].tensor.is_floating_point():
            return blamed("cut", operation)
    return None


def _raising(experiments: Experiments, ids: Tensor) -> Blame | None:
    try:
        experiments.subject.logits(ids)
    except CannotRunError as error:
        return Blame("refuses-context", find_place_of_error(error))
    return None
