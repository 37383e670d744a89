"""Change the sizes of a model one by one, where it does not run with all of them changed.

In some models most sizes depend on each other in ways that only their code knows. Those that can be changed
while the others are what they are still show which axes follow them. An axis may follow a setting that is not
changed as well: `n_groups * state_size` with one group. So the other settings are changed alone, too, and
what moves with them has no name, unless such a setting is a factor of the axis. That holds as well where all
known sizes are changed together, for settings with names that gptrace does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gptrace.model.architecture import Architecture, Resizing, Sizes
from gptrace.model.resized_sizes import SIZE_SETS
from gptrace.tracing.resized_runs import ForwardPass, Look, ResizedRun, run_resized
from gptrace.tracing.span import Site
from gptrace.wording import enumerated

MANY_SETTINGS = "gptrace tries no more settings after so much work"
Changes = tuple[Sizes, Sizes]  # of some keys, for one small model and for another


class FreeSizes(NamedTuple):
    """Two runs of a model, the keys that were changed in them, and why no other size was."""

    runs: list[ResizedRun]
    changed: frozenset[str]
    reason: str


class UnmovedSizes(NamedTuple):
    """A run that has no sizes which other settings move; and why it may have some still, or ""."""

    run: ResizedRun
    reason: str = ""


class Trials:
    """Runs of one architecture with some sizes changed; `left` is how much work they may still do.

    A run is fit if it makes at least half of the calls at `sites`.
    """

    def __init__(
        self, architecture: Architecture, forward_pass: ForwardPass, sites: frozenset[Site], limit: int
    ) -> None:
        self.left = limit
        self._architecture, self._forward_pass, self._limit = architecture, forward_pass.resized(1, 1), limit
        self._sites = sites

    def run(self, number: int, changes: Sizes, look: Look = Look.ONCE) -> ResizedRun | None:
        """Return the run with these changes, at the batch and seq_len of a set of sizes; None if it fails."""
        small = SIZE_SETS[number]
        resizing = Resizing(tuple(changes.items()), small.batch, small.seq_len)
        result = run_resized(self._architecture, resizing, self._forward_pass, self._limit, look)
        self.left -= result.work
        return result if isinstance(result, ResizedRun) else None

    def covered(self, number: int, changes: Sizes) -> int:
        """Return how many of the calls a run makes; 0 if it fails or is not fit."""
        run = self.run(number, changes)
        calls = 0 if run is None else len(self._sites & run.sites)
        return calls if 2 * calls > len(self._sites) else 0

    def largest(self, number: int, items: Iterable[Changes]) -> list[Changes] | None:
        """Return as many of the items as the model allows together; None if it does not run without any."""
        kept: list[Changes] = []
        changes: Sizes = {}
        covered = self.covered(number, changes)
        if not covered:
            return None
        for item in items:
            if self.left <= 0:
                break
            if not changes.keys() & item[number].keys():
                calls = self.covered(number, changes | item[number])
                if calls >= covered:
                    kept, changes, covered = [*kept, item], changes | item[number], calls
        return kept


def runs_of_free_sizes(
    architecture: Architecture, forward_pass: ForwardPass, sites: frozenset[Site], limit: int
) -> FreeSizes | None:
    """Return two runs of the architecture in which as many sizes are changed as it allows; None without any.

    A size stays changed if the model then still runs and makes the same calls, at least half of `sites`.
    `limit` is that of the work of one run, of all runs that find the sizes, and of all that change the other
    settings.
    """
    trials = Trials(architecture, forward_pass, sites, limit)
    kept = trials.largest(0, architecture.changes_alone())
    if kept is None:
        return None  # it does not even run as it is
    if not trials.covered(1, _together(kept, 1)):
        kept = trials.largest(1, kept)
        if kept is None:
            return None
    reason = (
        "the model does not run, or makes other calls, where another size is changed alone"
        if trials.left > 0
        else "gptrace tries no more sizes after so much work"
    )
    trials.left = limit
    changes = _together(kept, 0)
    first = trials.run(0, changes, Look.AT_TOKENS)
    second = None if first is None else trials.run(1, _together(kept, 1), Look.AT_SIZES)
    if first is None or second is None:
        return None
    unmoved = without_what_others_move(first, architecture, changes, trials)
    if unmoved.reason == MANY_SETTINGS:
        return None
    return FreeSizes([unmoved.run, second], frozenset(changes), reason)


def _together(items: Iterable[Changes], number: int) -> Sizes:
    return {key: size for item in items for key, size in item[number].items()}


def without_what_others_move(
    run: ResizedRun, architecture: Architecture, changes: Sizes, trials: Trials
) -> UnmovedSizes:
    """Return a run without the sizes that another setting moves, changed alone.

    Sizes that such a setting is a factor of are kept. What moves with a setting that cannot be changed alone
    is unknown.
    """
    run, settings = run.copy(), architecture.settings_alone(changes)
    larger = {key: _larger(value, architecture.sizes, run.sizes) for key, value in settings}
    # Most configurations also have settings that no code of the model reads: a few runs show that of all.
    for together in _changed_together(larger, dict(settings)):
        jointly = trials.run(0, changes | together)
        if jointly is None or not run.known.agrees_with(jointly.known):
            break
    else:
        return UnmovedSizes(run)
    unchanged = []
    for key, value in settings:
        # The last may divide the number of heads of the small model.
        for other in (larger[key], 2 * value, value + 1, value // 2, value * SIZE_SETS[0].key_value_heads):
            if trials.left <= 0:
                return UnmovedSizes(run, MANY_SETTINGS)
            moved = trials.run(0, changes | {key: other}) if other else None
            if moved is not None:
                run.known.forget_what_moves(moved.known, key, value, other)
                break
        else:
            unchanged.append(key)
    if jointly is not None:
        run.known.forget_what_moves_only_together(jointly.known, dict(settings), together)
    if unchanged:
        return UnmovedSizes(run, f"the model does not run with another {enumerated(unchanged, 3)}")
    return UnmovedSizes(run)


def _larger(value: int, sizes: Sizes, small: Sizes) -> int:
    """Return twice a setting; where it equals sizes, such as the width, at least twice these when small.

    So the setting is more than the width in the small model, for code that takes the larger of the two.
    """
    return 2 * max([value, *(small[name] for name, size in sizes.items() if size == value and name in small)])


def _changed_together(larger: Sizes, settings: Sizes) -> Iterator[Sizes]:
    """Yield changes of many settings at once; none without settings.

    All are made larger first, which moves `a * b / c`. Then each is multiplied by 1, 2 or 4, by a digit of
    its number to the base 3. Of two settings one grows at least twice as much as the other in one of them, so
    their quotient moves, too.
    """
    if larger:
        yield larger
    digit = 1
    while digit <= len(settings):
        yield {key: value << (number // digit % 3) for number, (key, value) in enumerate(settings.items(), 1)}
        digit *= 3
