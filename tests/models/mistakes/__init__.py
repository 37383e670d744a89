"""Right models with one mistake each; `gptrace check` is judged by them.

Each file is a theme. A mistake says which text of a right model it replaces, which check must
be ✗, and which lines of the broken file a verdict may name:

    mistake = MISTAKES["mask_is_tril"]
    path = mistake.write(tmp_path)         # the broken model as a file
    target = f"{path}:{mistake.model.target}"
    mistake.check, mistake.also            # what must be ✗, and what else may be
    mistake.guilty_lines                   # numbers of lines, the best one first

A new mistake is one that people make, that raises nothing, and that an experiment shows from the outside.
"""

from __future__ import annotations

from tests.models.mistakes import (
    batches,
    caches,
    context,
    gradients,
    heads,
    labels,
    masks,
    mixing,
    numerics,
    padding,
    positions,
    registration,
    scales,
    state,
)
from tests.models.mistakes.mistake import Mistake

THEMES: dict[str, tuple[Mistake, ...]] = {
    "masks": masks.MISTAKES,
    "mixing": mixing.MISTAKES,
    "heads": heads.MISTAKES,
    "scales": scales.MISTAKES,
    "positions": positions.MISTAKES,
    "padding": padding.MISTAKES,
    "batches": batches.MISTAKES,
    "caches": caches.MISTAKES,
    "labels": labels.MISTAKES,
    "gradients": gradients.MISTAKES,
    "registration": registration.MISTAKES,
    "numerics": numerics.MISTAKES,
    "state": state.MISTAKES,
    "context": context.MISTAKES,
}
MISTAKES = {mistake.name: mistake for mistakes in THEMES.values() for mistake in mistakes}
