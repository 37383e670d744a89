"""How a report is to look."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """Columns of the terminal (None: as wide as it wants), colour, and which rows of the tree.

    `full` folds nothing; `depth` leaves out what lies deeper. `columns` are those of the tree, without names
    its usual ones. `only` and `kind` are globs of paths and types of the calls to show. `log_probabilities`
    are shown beside the probabilities.
    """

    width: int | None = None
    color: bool = False
    full: bool = False
    depth: int | None = None
    columns: tuple[str, ...] = ()
    only: str | None = None
    kind: str | None = None
    log_probabilities: bool = False
