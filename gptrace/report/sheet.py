"""A neutral table: columns and values. Lowered to a rich table or to CSV here."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from gptrace.report.safe_text import visible


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `key` heads it in CSV, `title` for people; `show` turns a value into what people read.

    Numbers go to the right. A column without a title is for programs alone.
    """

    key: str
    title: str | None
    show: Callable[[Any], str] = str
    is_number: bool = False
    style: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Columns, and rows of raw values in their order."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    title: str = ""

    def for_people(self, row: Sequence[Any]) -> list[tuple[Column, Any]]:
        """Return the values of a row that people see, each with its column."""
        return [pair for pair in zip(self.columns, row, strict=True) if pair[0].title is not None]


def to_csv(sheet: Sheet) -> str:
    """Write a sheet as CSV: raw values, control characters spelled out."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(column.key for column in sheet.columns)
    for row in sheet.rows:
        writer.writerow(visible(value) if isinstance(value, str) else value for value in row)
    return out.getvalue()


def to_table(sheet: Sheet) -> Table:
    """Lay a sheet out for the terminal."""
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    for column, _ in sheet.for_people(sheet.columns):
        table.add_column(
            Text(str(column.title)),
            justify="right" if column.is_number else "left",
            style=column.style,
            overflow="fold",
            no_wrap=column.is_number,
        )
    for row in sheet.rows:
        table.add_row(*(Text(visible(column.show(value))) for column, value in sheet.for_people(row)))
    return table
