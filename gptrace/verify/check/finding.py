"""What a check finds out: whether it holds, the figures, and what is to blame. No words here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps

from gptrace.verify.check.blame import Blame
from gptrace.verify.check.experiments import Experiments


@dataclass(frozen=True, eq=False)
class Finding:
    """The outcome of one check.

    holds       None where it does not apply or cannot be judged
    key         names the sentence that says so, among those of the check
    figures     what the sentence mentions
    figure      the number that was measured, held against `tolerance`
    blame       the line that is wrong, where one is found
    raised      what the model raised, where that is why it cannot be judged
    applies     False where the model has nothing that the check is about
    """

    holds: bool | None
    key: str
    figures: Mapping[str, object] = field(default_factory=dict)
    figure: float | None = None
    tolerance: float | None = None
    blame: Blame | None = None
    raised: BaseException | None = None
    applies: bool = True


Check = Callable[[Experiments], Finding]


# What the experiments tell of a model, and the sentence that says that it is not so.
_UNFIT = {"is_finite": "not_finite", "is_deterministic": "not_deterministic"}


def only_if(*conditions: str) -> Callable[[Check], Check]:
    """Leave a model unjudged by a check unless the experiments say all of this of it, such as "is_finite"."""

    def decorate(check: Check) -> Check:
        @wraps(check)
        def judged(experiments: Experiments) -> Finding:
            unfit = next((name for name in conditions if not getattr(experiments, name)), None)
            return check(experiments) if unfit is None else unjudged(_UNFIT[unfit])

        return judged

    return decorate


def unjudged(key: str, raised: BaseException | None = None, /, **figures: object) -> Finding:
    """Return the finding of a check that cannot be judged.

    The sentence has what the model `raised` as its {error}, with the line.
    """
    return Finding(None, key, figures, raised=raised)


def inapplicable(key: str, **figures: object) -> Finding:
    """Return the finding of a check about something that the model does not have."""
    return Finding(None, key, figures, applies=False)
