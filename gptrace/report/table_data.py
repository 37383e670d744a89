"""A neutral table: columns, and rows of raw values. Its CSV is here; renderers lay it out."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from gptrace.report.safe_text import visible


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    key         its name in CSV
    title       its name for people; without one the column is for programs alone
    show        turns a value into the text that people read
    is_number   whether its texts are aligned on the right
    role        the role of its texts
    drop_order  where the width is too small for all columns, those with 1 go first, then 2, and so on;
                columns without it stay
    role_of     returns the role of a value, where it depends on the value
    units_of    in place of `show`: turns a value into texts of which a line break splits none
    share_of    where the texts are bars: returns the share of 1 that a bar fills
    detail_of   returns a figure that stands below the text, where cells have room for it
    is_prose    whether the texts are sentences, which may break anywhere
    """

    key: str
    title: str | None
    show: Callable[[Any], str] = str
    is_number: bool = False
    role: str = ""
    drop_order: int | None = None
    role_of: Callable[[Any], str] | None = None
    units_of: Callable[[Any], Sequence[str]] | None = None
    share_of: Callable[[Any], float] | None = None
    detail_of: Callable[[Any], str] | None = None
    is_prose: bool = False

    def text(self, value: Any) -> str:
        """Return the text of a value on one line."""
        return self.show(value) if self.units_of is None else "  ".join(self.units_of(value))


@dataclass(frozen=True, slots=True)
class TableData:
    """Columns, and rows of raw values in their order."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]

    @classmethod
    def plain(cls, keys: Sequence[str], rows: Sequence[Sequence[Any]]) -> TableData:
        """Return a table for programs: its columns are known by their keys alone."""
        return cls([Column(key, None) for key in keys], rows)

    def for_people(self, row: Sequence[Any]) -> list[tuple[Column, Any]]:
        """Return the values of a row that people see, each with its column."""
        return [pair for pair in zip(self.columns, row, strict=True) if pair[0].title is not None]


def to_csv(table: TableData, *, with_head: bool = True) -> str:
    """Write a table as CSV: raw values, control characters spelled out, no text that runs as a formula."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if with_head:
        writer.writerow(column.key for column in table.columns)
    writer.writerows(map(_csv_value, row) for row in table.rows)
    return out.getvalue()


def _csv_value(value: Any) -> Any:
    """Return a value as CSV holds it: several texts with a space between them, and no text as a formula.

    Spreadsheets run text that begins with one of these signs; an apostrophe before it makes it plain text.
    """
    if isinstance(value, tuple):
        value = " ".join(map(str, value))
    if not isinstance(value, str):
        return value
    return "'" + visible(value) if len(value) > 1 and value[0] in "=+-@\t\r" else visible(value)
