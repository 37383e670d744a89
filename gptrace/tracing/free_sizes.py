"""Change the sizes of a model one by one, where it does not run with all of them changed.

In some models most sizes depend on each other in ways that only their code knows. Those that can be changed
while the others are what they are still show which axes follow them. An axis may follow a setting that is not
changed as well: `n_groups * state_size` with one group. So the other settings are changed alone, too, and
what moves with them has no name.
"""

from __future__ import annotations

from typing import NamedTuple

from gptrace.model.architecture import Architecture, Resizing, Sizes
from gptrace.model.resized_sizes import SIZE_SETS
from gptrace.tracing.resized_runs import ForwardPass, Look, ResizedRun, run_resized
from gptrace.tracing.span import Site


class FreeSizes(NamedTuple):
    """Two runs of a model, the keys that were changed in them, and why no other size was."""

    runs: list[ResizedRun]
    changed: frozenset[str]
    reason: str


class _Trials:
    """Runs of one architecture with some sizes changed; `left` is how much work they may still be."""

    def __init__(self, architecture: Architecture, forward_pass: ForwardPass, limit: int) -> None:
        self.left = limit
        self._architecture, self._forward_pass, self._limit = architecture, forward_pass.resized(1, 1), limit

    def run(self, number: int, changes: Sizes, look: Look = Look.ONCE) -> ResizedRun | None:
        """Return the run with these changes, at the batch and seq_len of a set of sizes; None if it fails."""
        small = SIZE_SETS[number]
        resizing = Resizing(tuple(changes.items()), small.batch, small.seq_len)
        result = run_resized(self._architecture, resizing, self._forward_pass, self._limit, look)
        self.left -= result.work
        return result if isinstance(result, ResizedRun) else None

    def run_both(self, changes: tuple[Sizes, Sizes], first: Look, second: Look) -> list[ResizedRun]:
        """Return a run with each of the changes; none if either fails."""
        one = self.run(0, changes[0], first)
        other = None if one is None else self.run(1, changes[1], second)
        return [] if one is None or other is None else [one, other]


def runs_of_free_sizes(
    architecture: Architecture, forward_pass: ForwardPass, sites: frozenset[Site], limit: int
) -> FreeSizes | None:
    """Return two runs of the architecture in which as many sizes are changed as it allows; None without any.

    A size stays changed if the model then still runs and makes the same calls, at least half of `sites`.
    `limit` is that of the work of one run, of all runs that find the sizes, and of all that change the other
    settings.
    """
    trials = _Trials(architecture, forward_pass, limit)
    changes: tuple[Sizes, Sizes] | None = None
    covered = len(sites) // 2 + 1
    for further in ({}, {}), *architecture.changes_alone():
        if trials.left <= 0:
            break
        before = changes or ({}, {})
        if before[0].keys() & further[0].keys():
            continue
        tried = before[0] | further[0], before[1] | further[1]
        runs = trials.run_both(tried, Look.ONCE, Look.ONCE)
        calls = len(sites.intersection(*(run.sites for run in runs)))
        if runs and calls >= covered:
            changes, covered = tried, calls
        elif changes is None:
            return None  # it does not even run as it is
    if changes is None:
        return None
    reason = (
        "the model does not run, or makes other calls, where another size is changed alone"
        if trials.left > 0
        else "gptrace tries no more sizes after so much work"
    )
    trials.left = limit
    runs = trials.run_both(changes, Look.AT_TOKENS, Look.AT_SIZES)
    if not runs or not _forget_what_others_move(runs[0], architecture, changes[0], trials):
        return None
    return FreeSizes(runs, frozenset(changes[0]), reason)


def _forget_what_others_move(
    run: ResizedRun, architecture: Architecture, changes: Sizes, trials: _Trials
) -> bool:
    """Change each other setting alone, and forget the sizes that move in a run; False if it is too much work.

    A setting that cannot be changed alone moves nothing.
    """
    for key, value in architecture.settings_alone(changes):
        for other in (2 * value, value + 1, value // 2):
            if trials.left <= 0:
                return False
            moved = trials.run(0, changes | {key: other}) if other else None
            if moved is not None:
                run.keep_what_agrees(moved)
                break
    return True
