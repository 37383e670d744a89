"""One mistake: what is written instead of what, which check must notice it, and at which line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.models.collection import RightModel
from tests.models.right_models import RIGHT_MODELS

# Tells whether a model has the flaw: it gets the model's record and the path of the file to build.
Experiment = Callable[[RightModel, Path], bool]


@dataclass(frozen=True)
class Mistake:
    """A right model with one mistake put in.

    name      what is wrong, as an identifier
    base      the name of the right model
    edits     pairs of a text that occurs once in the right model, and the wrong text in its place
    check     the check that must be ✗
    guilty    texts that each occur once in the broken file; each begins on a line that a teacher may point
              at, the best one first
    belief    what people believe who write it
    shown_by  an experiment that is true of the broken model, and false of its base
    also      other checks that may be ✗ as well
    """

    name: str
    base: str
    edits: tuple[tuple[str, str], ...]
    check: str
    guilty: tuple[str, ...]
    belief: str
    shown_by: Experiment
    also: tuple[str, ...] = ()

    @property
    def model(self) -> RightModel:
        """The right model that the mistake is put into."""
        return RIGHT_MODELS[self.base]

    @property
    def source(self) -> str:
        """The source of the broken model."""
        text = self.model.source
        for right, wrong in self.edits:
            assert text.count(right) == 1, f"{self.name}: {text.count(right)} × {right!r} in {self.base}.py"
            text = text.replace(right, wrong)
        return text

    @property
    def guilty_lines(self) -> list[int]:
        """The numbers of the lines, from 1, that a verdict may name; the best one first."""
        text = self.source
        for guilty in self.guilty:
            assert text.count(guilty) == 1, f"{self.name}: {text.count(guilty)} × {guilty!r}"
        return [text[: text.index(guilty)].count("\n") + 1 for guilty in self.guilty]

    def write(self, folder: Path) -> Path:
        """Write the broken model to a file of `folder`; return its path."""
        path = folder / f"{self.name}.py"
        path.write_text(self.source, encoding="utf-8")
        return path


def edit(right: str, wrong: str, *more: str) -> tuple[tuple[str, str], ...]:
    """Return the pairs of `Mistake.edits` from texts that alternate: right, wrong, right, wrong, …"""
    texts: tuple[Any, ...] = (right, wrong, *more)
    return tuple(zip(texts[::2], texts[1::2], strict=True))
