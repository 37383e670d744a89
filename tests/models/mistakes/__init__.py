"""Right models with one mistake each; `gptrace check` is judged by them."""

from __future__ import annotations

from tests.models.mistakes import masks
from tests.models.mistakes.mistake import Mistake

THEMES: dict[str, tuple[Mistake, ...]] = {"masks": masks.MISTAKES}
MISTAKES = {mistake.name: mistake for mistakes in THEMES.values() for mistake in mistakes}
