"""Change the sizes of a model one by one, where it does not run with all of them changed.

In some models most sizes depend on each other in ways that only their code knows. Those that can be changed
while the others are what they are still show which axes follow them.
"""

from __future__ import annotations

from typing import NamedTuple

from gptrace.model.architecture import Architecture, Resizing, Sizes
from gptrace.model.resized_sizes import SIZE_SETS
from gptrace.tracing.resized_runs import ForwardPass, ResizedRun, run_resized
from gptrace.tracing.span import Site


class FreeSizes(NamedTuple):
    """Two runs of a model, the keys that were changed in them, and why no other size was."""

    runs: list[ResizedRun]
    changed: frozenset[str]
    reason: str


def runs_of_free_sizes(
    architecture: Architecture, forward_pass: ForwardPass, sites: frozenset[Site], limit: int, left: int
) -> FreeSizes | None:
    """Return two runs of the architecture in which as many sizes are changed as it allows; None without any.

    A size stays changed if the model then still runs and makes the same calls, at least half of `sites`.
    `limit` is that of the work of one run, `left` that of all.
    """
    found: list[ResizedRun] = []
    changes: tuple[Sizes, ...] = ({}, {})
    covered = len(sites) // 2 + 1
    for further in ({}, {}), *architecture.changes_alone():
        if left <= 0:
            break
        if changes[0].keys() & further[0].keys():
            continue
        tried = tuple([one | other for one, other in zip(changes, further, strict=True)])
        runs, work = _runs(architecture, tried, forward_pass, limit)
        left -= work
        calls = len(sites.intersection(*(run.sites for run in runs)))
        if len(runs) == len(tried) and calls >= covered:
            found, changes, covered = runs, tried, calls
        elif not found:
            return None  # it does not even run as it is
    if not found:
        return None
    reason = (
        "the model does not run, or makes other calls, where another size is changed alone"
        if left > 0
        else "gptrace tries no more sizes after so much work"
    )
    return FreeSizes(found, frozenset(changes[0]), reason)


def _runs(
    architecture: Architecture, changes: tuple[Sizes, ...], forward_pass: ForwardPass, limit: int
) -> tuple[list[ResizedRun], int]:
    """Return the runs with these changes, up to the first that failed, and how much work all were."""
    runs: list[ResizedRun] = []
    work = 0
    for small, changed in zip(SIZE_SETS, changes, strict=True):
        resizing = Resizing(tuple(changed.items()), small.batch, small.seq_len)
        result = run_resized(architecture, resizing, forward_pass.resized(1, 1), limit, verified=not runs)
        work += result.work
        if not isinstance(result, ResizedRun):
            break
        runs.append(result)
    return runs, work
