"""Right models with one mistake each; `gptrace check` is judged by them."""

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
