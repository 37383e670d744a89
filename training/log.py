"""The log of a run: a CSV file, and a plot of its losses."""

from __future__ import annotations

import csv
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """Where a run stands: the loss on its text since the row before, and on each held-out text."""

    step: int
    tokens: int
    seconds: float
    learning_rate: float
    training_loss: float
    held_out: dict[str, float]


def append_row(path: Path, row: Row) -> None:
    """Add a row to a CSV file, with the names of its columns where the file is new."""
    cells: dict[str, object] = {name: value for name, value in asdict(row).items() if name != "held_out"}
    cells |= {"seconds": round(row.seconds, 1), "learning_rate": f"{row.learning_rate:.3e}"}
    losses = {"training_loss": row.training_loss, **row.held_out}
    cells |= {name: f"{loss:.4f}" for name, loss in losses.items()}
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(cells), lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(cells)


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a CSV file; none where there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [_row(cells) for cells in csv.DictReader(file)]


def keep_rows(path: Path, last_step: int) -> None:
    """Remove the rows after a step, which a resumed run writes again."""
    rows = [row for row in read_rows(path) if row.step <= last_step]
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    for row in rows:
        append_row(partial, row)
    if rows:
        os.replace(partial, path)
    else:
        path.unlink(missing_ok=True)


def _row(cells: dict[str, str]) -> Row:
    step, tokens, seconds, rate, training_loss = list(cells.values())[:5]
    held_out = {name: float(loss) for name, loss in list(cells.items())[5:]}
    return Row(int(step), int(tokens), float(seconds), float(rate), float(training_loss), held_out)
