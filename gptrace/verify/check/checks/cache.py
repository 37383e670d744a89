"""`cache`: token by token, with the model's own cache, the logits are those of all tokens at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from gptrace.model.quiet_torch import torch
from gptrace.predict.logits import find_logits
from gptrace.verify.check.blame import Blame, blamed, called_at, origin_of
from gptrace.verify.check.caching import PAST_NAMES, Caching, find_caching
from gptrace.verify.check.dependence import differs
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, inapplicable, only_if, unjudged
from gptrace.verify.check.places import NOWHERE, Place
from gptrace.verify.check.recorded_run import RecordedOperation, RecordedRun, Value, ValueKey
from gptrace.verify.check.recording import Recorder
from gptrace.verify.check.subject import CannotRunError, is_half, largest_difference

Tensor = torch.Tensor
_LONG = 24  # tokens
_BEYOND = 4  # tokens
_PROMPT = 3  # tokens
_PIECES = (3, 2)  # tokens
# In half precision, the part of the tolerance that right caches keep to: 2 of 16 rounding errors.
_SURE = 1 / 8
_MARGIN = 4


@only_if("is_finite", "is_deterministic")
def check(experiments: Experiments) -> Finding:
    """Run one token at a time, after a prompt, and in pieces; compare each step with the whole run."""
    subject = experiments.subject
    caching = find_caching(subject)
    if caching is None:
        return inapplicable("no_cache")
    ids, whole = _longest_run(experiments)
    tolerance = experiments.rounding(whole)  # the order of sums differs between one row and many
    worst, count = 0.0, 0
    for plan in _plans(subject.length, ids.shape[1]):
        turns = _two_turns(experiments, caching, ids, plan)
        for is_second, (steps, error) in enumerate(turns):
            # A cache may take new tokens one by one only, and no more than fit into it.
            if error and sum(plan) == subject.length and plan[: len(_PIECES)] != _PIECES:
                return unjudged("not_used", error, how=caching.how)
            differences = [largest_difference(row, whole[:, end - 1]) for end, row in steps]
            count, worst = max([count, *(end for end, _ in steps)]), max([worst, *differences])
            wrong = next((n for n, difference in enumerate(differences) if difference > tolerance), None)
            if wrong is None:
                continue
            if _may_be_rounding(experiments, ids, worst):
                return unjudged("rounding", difference=worst)
            end = steps[wrong][0]
            figures = {"step": end, "how": caching.how}
            if is_second:  # it was right in the first turn
                return Finding(False, "not_reset", figures, worst, tolerance, _reset_method(caching))
            blame = _blame(experiments, caching, ids[:, :end], plan[: wrong + 1])
            return Finding(False, "fails", figures, worst, tolerance, blame)
    if is_half(experiments.eps):
        tolerance *= _SURE
        if worst > tolerance:
            return unjudged("rounding", difference=worst)
    return Finding(True, "holds", {"count": count, "how": caching.how}, worst, tolerance)


def _may_be_rounding(experiments: Experiments, ids: Tensor, difference: float) -> bool:
    """Tell whether rounding in half precision may explain a difference of more than the tolerance."""
    return is_half(experiments.eps) and difference <= _MARGIN * experiments.change_by_rounding(ids)


def _two_turns(
    experiments: Experiments, caching: Caching, ids: Tensor, plan: tuple[int, ...]
) -> list[tuple[list[tuple[int, Tensor]], Exception | None]]:
    """Run the same steps twice, with the cache emptied in between."""
    with experiments.subject.running(caching.module):
        return [_run_steps(caching, ids, plan) for _ in range(2)]


def _longest_run(experiments: Experiments) -> tuple[Tensor, Tensor]:
    """Return the ids and logits of a run that is long, and longer than the context if the model can do that.

    A model without a table of positions may slide over a text of any length.
    """
    subject = experiments.subject
    length = min(subject.context or _LONG, _LONG)
    for count in () if subject.is_large else (length + _BEYOND, length):
        ids = subject.random_ids(1, count)
        with suppress(CannotRunError):
            whole = subject.logits(ids)
            start = subject.logits(ids[:, : subject.length])
            difference = largest_difference(whole[:, : subject.length], start)
            if difference <= experiments.rounding(start):
                return ids, whole
    ids = subject.random_ids(1, subject.length)
    return ids, subject.logits(ids)


def _plans(length: int, longest: int) -> list[tuple[int, ...]]:
    """Return the numbers of new tokens of each step: one by one, after a prompt, in pieces, and for long."""
    plans = [(1,) * length, (_PROMPT, *[1] * (length - _PROMPT))]
    if length > sum(_PIECES):
        plans.append((*_PIECES, *[1] * (length - sum(_PIECES))))
    return plans + ([(_PROMPT, *[1] * (longest - _PROMPT))] if longest > length else [])


def _run_steps(
    caching: Caching, ids: Tensor, plan: tuple[int, ...]
) -> tuple[list[tuple[int, Tensor]], Exception | None]:
    """Run the tokens in steps; return the last row of logits of each step.

    With each stands the number of tokens so far; beside them the error, if one was raised.
    """
    steps: list[tuple[int, Tensor]] = []
    end = 0
    caching.begin()
    for step in plan:
        try:
            found = find_logits(caching.step(ids[:, end : end + step]), 1, step)
        except Exception as error:  # the model's own cache may raise anything
            return steps, error
        if found.logits is None:
            return steps, CannotRunError(found.reason)
        end += step
        steps.append((end, found.logits[:, -1].clone()))
    return steps, None


def _reset_method(caching: Caching) -> Blame:
    method = caching.reset_method()
    code = getattr(method, "__code__", None)
    place = NOWHERE if code is None else Place(code.co_filename, code.co_firstlineno, code.co_qualname)
    return Blame("cache-not-reset", place)


def _blame(experiments: Experiments, caching: Caching, ids: Tensor, steps: tuple[int, ...]) -> Blame | None:
    """Compare the step that goes wrong, the last one, with the lanes that it has in the whole run."""
    subject, position = experiments.subject, ids.shape[1]
    whole = subject.record(ids).values_by_key()
    recorder: Recorder | None = None
    start = 0
    with subject.running(caching.module):
        caching.begin()
        for step in steps:
            recorder = Recorder(caching.module, recorder)
            with recorder.on(caching.module):
                output = caching.step(ids[:, start : start + step])
            start += step
            logits = find_logits(output, 1, step).logits
            recorder.run.logits = None if logits is None else recorder.value_of(logits)
    last = steps[-1]
    run = RecordedRun() if recorder is None else recorder.run

    def is_wrong(value: Value) -> bool | None:
        same = whole.get(value.key)
        if same is None or same.tensor.dim() != value.tensor.dim():
            return None
        lane, part = same.tensor, value.tensor
        for axis in range(lane.dim()):
            size, wanted = lane.shape[axis], part.shape[axis]
            if size == position and wanted == last:
                lane = lane.narrow(axis, position - last, last)
            elif size == position and wanted > size:
                part = part.narrow(axis, 0, size)  # a cache of fixed size, whose other slots are empty
            elif size != wanted:
                return None if value.tensor.dim() < 3 else True
        return bool(differs(part, lane, experiments.eps).any())

    origin = None if run.logits is None else origin_of(run, run.logits, is_wrong)
    if origin is None:
        return None
    return _not_passed(run, origin) or _kept(origin, whole) or _at(experiments, run, origin, is_wrong)


def _not_passed(run: RecordedRun, origin: RecordedOperation) -> Blame | None:
    """Return the call of a module that takes the cache, and did not get what its parent got."""
    parts = origin.path.split(".") if origin.path else []
    for depth in range(1, len(parts) + 1):
        path = ".".join(parts[:depth])
        given, above = run.given.get(path, {}), {}
        for shorter in range(depth):
            above.update(run.given.get(".".join(parts[:shorter]), {}))
        for name in (*PAST_NAMES, "use_cache", "input_pos"):
            if given.get(name) is False and above.get(name):
                return Blame("cache-not-passed", run.places_of_calls.get(path, NOWHERE), origin, path)
    return None


def _kept(origin: RecordedOperation, whole: dict[ValueKey, Value]) -> Blame | None:
    """Return where a part of the keys or values was kept by the step before, if this step takes it up."""
    if any(value.key in whole for value in origin.outputs):
        return None
    makers = [value.kept for value in origin.inputs if value.kept is not None]
    sliced = [maker for maker in makers if maker.name in ("getitem", "narrow", "slice", "index_select")]
    return blamed("cache-kept", sliced[0]) if sliced else None


def _at(
    experiments: Experiments, run: RecordedRun, origin: RecordedOperation,
    is_wrong: Callable[[Value], bool | None],
) -> Blame:  # fmt: skip
    known = experiments.dependence.sets
    outputs = [value.key for value in origin.outputs]
    is_position = outputs[0] in known and not any(known[key].any() for key in outputs if key in known)
    blame = blamed("cache-positions" if is_position else "cache-other", origin)
    return replace(blame, place=called_at(run, origin, is_wrong))
