"""Judge `gptrace check` by the collection of right models and of mistakes.

`python -m tests.verify.judging` judges all of it, in some minutes, and prints what is missed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import gptrace
from gptrace.model.selection import select_model
from gptrace.record import Check
from tests.models.collection import RightModel
from tests.models.mistakes import MISTAKES
from tests.models.mistakes.mistake import Mistake
from tests.models.right_models import RIGHT_MODELS

# What is not found, or not at the line that is wrong, and why.
MISSED = {
    "cached_keys_are_rotated_again": "The line before is named, where the cached keys meet the new ones.",
    "every_layer_gets_the_first_cache": "The line that takes the wrong cache is named, not its choice.",
    "only_the_newest_keys_are_returned": "The first thing to go wrong is the number of cached tokens.",
    "router_only_chooses": "The last line with a gradient is named; the weights are dropped after it.",
    "weights_are_summed_without_the_keys": "A projection without a gradient is named, not the sum.",
    "scores_of_shared_keys_are_viewed_by_heads": "Tokens and heads share an axis, so the next view is named.",
    "true_means_seen_in_multihead_attention": "No logit is NaN here: the check causal names the line.",
    "angles_depend_on_the_longest_text_so_far": "The line after the one that keeps the length is named.",
}


def checked(model: RightModel, path: Path | None = None, only: Sequence[str] = ()) -> Check:
    """Check a model of the collection, or a file with a mistake put into it, as the command line does."""
    file = path or model.path
    config = f"{file}:{model.config}" if model.config else None
    return gptrace.Session(select_model(f"{file}:{model.target}", config=config)).check(only=only)


def judged(mistake: Mistake, folder: Path) -> str:
    """Return "" where the check of a mistake fails at a guilty line, else what is wrong with it."""
    path = mistake.write(folder)
    (result,) = checked(mistake.model, path, only=[mistake.check]).checks
    if result.holds is not False:
        failed = checked(mistake.model, path).failed
        others = [f"{other.name}:{other.source and other.source.line}" for other in failed]
        return f"{mistake.check} is not ✗, but {others}: {result.reason or result.sentence}"
    line = None if result.source is None else result.source.line
    return "" if line in mistake.guilty_lines else f"line {line} is named, not one of {mistake.guilty_lines}"


def main() -> None:
    """Judge the whole collection."""
    for name, model in RIGHT_MODELS.items():
        for result in checked(model).failed:
            sys.stdout.write(f"right model {name}: {result.name} is ✗: {result.sentence}\n")
    found = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, mistake in MISTAKES.items():
            problem = judged(mistake, Path(folder))
            found += not problem
            if problem:
                sys.stdout.write(f"{name}: {problem}\n")
    sys.stdout.write(f"{found} of {len(MISTAKES)} mistakes found at the right line\n")


if __name__ == "__main__":
    main()
