"""`cache`: token by token, with the model's own cache, the logits are those of all tokens at once."""

from __future__ import annotations

from gptrace.predict.logits import find_logits
from gptrace.verify.check.blame import Blame, blamed, origin_of
from gptrace.verify.check.caching import Caching, find_caching
from gptrace.verify.check.dependence import differs
from gptrace.verify.check.experiments import Experiments
from gptrace.verify.check.finding import Finding, unjudged
from gptrace.verify.check.recording import RecordedRun, Recorder, Value
from gptrace.wording import one_line


def check(experiments: Experiments) -> Finding:
    """Run one token at a time, and again after a prompt of three; compare each step with the whole run."""
    subject = experiments.subject
    if not experiments.is_finite:
        return unjudged("not_finite")
    if not experiments.is_deterministic:
        return unjudged("not_deterministic")
    caching = find_caching(subject)
    if caching is None:
        return unjudged("no_cache")
    length = subject.length
    ids = subject.random_ids(1, length)
    whole = subject.logits(ids)
    # The order of sums differs between one row and many.
    tolerance = experiments.rounding(whole)
    worst = 0.0
    for first in (1, 3):
        with subject.running(caching.module):
            caching.begin()
            position = 0
            for step in (first, *[1] * (length - first)):
                try:
                    found = find_logits(caching.step(ids[:, position : position + step]), 1, step)
                except Exception as error:  # the model's own cache may raise anything
                    text = one_line(f"{type(error).__name__}: {error}", 160)
                    return unjudged("not_run", error=text, how=caching.how)
                if found.logits is None:
                    return unjudged("not_run", error=found.reason, how=caching.how)
                logits = found.logits
                position += step
                difference = float((logits[:, -1] - whole[:, position - 1]).abs().max())
                worst = max(worst, difference)
                if difference > tolerance:
                    break
        if worst > tolerance:
            blame = _blame(experiments, caching, first, position)
            figures = {"step": position, "how": caching.how}
            return Finding(False, "fails", figures, worst, tolerance, blame)
    return Finding(True, "holds", {"count": length, "how": caching.how}, worst, tolerance)


def _blame(experiments: Experiments, caching: Caching, first: int, position: int) -> Blame | None:
    """Compare the step that goes wrong with the lane that it has in the whole run."""
    subject = experiments.subject
    ids = subject.random_ids(1, subject.length)
    whole = {value.key: value for value in subject.record(ids[:, :position]).values()}
    steps = [first, *[1] * (position - first)] if position > first else [position]
    run, start = RecordedRun(), 0
    with subject.running(caching.module):
        caching.begin()
        for step in steps:
            recorder = Recorder(caching.module)
            with recorder.on(caching.module):
                output = caching.step(ids[:, start : start + step])
            start += step
            run = recorder.run
            logits = find_logits(output, 1, step).logits
            run.logits = None if logits is None else recorder.value_of(logits)
    last = steps[-1]

    def is_wrong(value: Value) -> bool | None:
        same = whole.get(value.key)
        if same is None:
            return None
        lane = same.tensor
        if lane.dim() != value.tensor.dim():
            return None
        for axis in range(lane.dim()):
            size, wanted = lane.shape[axis], value.tensor.shape[axis]
            if size == position and wanted == last:
                lane = lane.narrow(axis, position - last, last)
            elif size != wanted:
                return None if value.tensor.dim() < 3 else True
        return bool(differs(value.tensor, lane, experiments.eps).any())

    if run.logits is None:
        return None
    origin = origin_of(run, run.logits, is_wrong)
    if origin is None:
        return None
    known = experiments.dependence.sets
    is_position = origin.outputs[0].key in known and not any(
        known[value.key].any()
        for value in origin.outputs if value.key in known
    )  # fmt: skip
    return blamed("cache-positions" if is_position else "cache-other", origin)
