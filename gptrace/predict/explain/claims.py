"""A claim as it is measured: a key, figures by name, and whether they bear it out. It has no words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MeasuredClaim:
    """A claim about the model.

    `key` selects the sentence in each catalog. `holds` is None where the claim cannot be checked on this
    model and prompt. `figures` are numbers, shapes, tokens and names, which the catalogs put into words.
    """

    key: str
    holds: bool | None
    figures: Mapping[str, object]
