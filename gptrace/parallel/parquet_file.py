"""A Parquet file of prompts. A row is read as the line of JSON that says the same."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow.parquet import ParquetFile

from gptrace.errors import InputError
from gptrace.parallel.prompt_files import PROMPT_KEYS, STEP, FileLine
from gptrace.record.writing import to_json
from gptrace.text.lines import LINE_LIMIT
from gptrace.wording import one_line

_ROWS_READ = 1024
# A row is found by reading its row group up to the row, so few pieces may begin within a group.
_STEPS_IN_GROUP = 64


@dataclass(frozen=True, slots=True)
class RowsFile:
    """A Parquet file; `name` is its path in messages."""

    path: Path
    name: str

    @property
    def step(self) -> int:
        """The least number of rows in a piece, so that a read is worth its cost."""
        facts = self._open().metadata
        sizes = [facts.row_group(index).num_rows for index in range(facts.num_row_groups)]
        return max(STEP, max(sizes, default=0) // _STEPS_IN_GROUP)

    def lines(
        self, first: int = 1, offset: int = 0, columns: list[str] | None = None
    ) -> Iterator[tuple[FileLine, int]]:
        """Yield each row from row `first` on as a line, and its approximate end, in bytes before compression.

        `columns` are those to read; None for all.
        """
        parquet = self._open()
        facts = parquet.metadata
        sizes = [facts.row_group(index).total_byte_size for index in range(facts.num_row_groups)]
        row_size = sum(sizes) // max(1, facts.num_rows)
        for number, row in enumerate(_rows(parquet, first - 1, columns), start=first):
            raw = _line_of(row)
            yield FileLine(self, number, raw if len(raw) <= LINE_LIMIT else None), number * row_size

    def schema(self) -> pyarrow.Schema:
        """Return its columns and their types; raise an InputError if it is no Parquet file."""
        return self._open().schema_arrow

    def place(self, number: int) -> str:
        """Return the place of a row in messages."""
        return f"row {number} of {self.name}"

    def check(self, id_key: str) -> None:
        """Raise an InputError if it is no Parquet file, or lacks the column of ids or of prompts."""
        names = self.schema().names
        if id_key not in names or not set(PROMPT_KEYS).intersection(names):
            raise InputError(
                f"{self.name} needs the column {id_key}, and text or ids; it has {', '.join(names)}",
                "rename its columns, or name that of the ids with --id-key",
            )

    def _open(self) -> ParquetFile:
        try:
            return ParquetFile(self.path)
        except (pyarrow.ArrowException, OSError) as error:
            raise InputError(
                f"{self.name} is not a Parquet file: {one_line(error)}",
                "give it another suffix if it holds JSON Lines",
            ) from None


def _rows(parquet: ParquetFile, skipped: int, columns: list[str] | None) -> Iterator[dict[str, Any]]:
    """Yield the rows after those that are skipped."""
    facts = parquet.metadata
    groups = list(range(facts.num_row_groups))
    while groups and (size := facts.row_group(groups[0]).num_rows) <= skipped:
        skipped -= size
        del groups[0]
    for batch in parquet.iter_batches(batch_size=_ROWS_READ, row_groups=groups, columns=columns):
        if skipped < batch.num_rows:
            yield from batch.slice(skipped).to_pylist()
        skipped = max(0, skipped - batch.num_rows)


def _line_of(row: dict[str, Any]) -> bytes:
    """Return a row as a line of JSON. A prompt is text or ids, so the one that is null is left out."""
    values = {name: value for name, value in row.items() if value is not None or name not in PROMPT_KEYS}
    return to_json(_as_json(values)).encode()


def _as_json(value: Any) -> Any:
    """Return a value of a Parquet file as one of JSON: a date, for which JSON has no type, is a text."""
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, datetime.date | datetime.time):  # a datetime is a date
        return value.isoformat()
    return value if isinstance(value, str | bytes | int | float | None) else str(value)
