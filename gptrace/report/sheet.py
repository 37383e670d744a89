"""A neutral table: columns and values. Lowered to a rich table or to CSV here."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from gptrace.report.safe_text import visible

GAP = 2
_MOST_ROWS = 2000
_LEGIBLE = 6  # characters that a folded column keeps on a line


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `key` heads it in CSV, `title` for people; `show` turns a value into what people read.

    Numbers go to the right. A column without a title is for programs alone. Where the terminal is too
    narrow for all, columns with `keep` 1 go first, then 2, and so on; those without it stay. `style_of`
    styles a cell by its value.
    """

    key: str
    title: str | None
    show: Callable[[Any], str] = str
    is_number: bool = False
    style: str = ""
    keep: int | None = None
    style_of: Callable[[Any], str] | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """Columns, and rows of raw values in their order; `lines` stand between the title and the table."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    title: str = ""
    lines: Sequence[Text] = ()

    def for_people(self, row: Sequence[Any]) -> list[tuple[Column, Any]]:
        """Return the values of a row that people see, each with its column."""
        return [pair for pair in zip(self.columns, row, strict=True) if pair[0].title is not None]


def to_csv(sheet: Sheet, *, with_head: bool = True) -> str:
    """Write a sheet as CSV: raw values, control characters spelled out."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if with_head:
        writer.writerow(column.key for column in sheet.columns)
    for row in sheet.rows:
        writer.writerow(visible(value) if isinstance(value, str) else value for value in row)
    return out.getvalue()


def to_table(sheet: Sheet, width: int | None = None) -> Table | Text:
    """Lay a sheet out for a terminal of `width` columns; what does not fit is left out or folded.

    A sheet of thousands of rows becomes plain text: rich would take seconds for each ten thousand.
    """
    columns = [column for column, _ in sheet.for_people(sheet.columns)]
    rows = [[visible(column.show(value)) for column, value in sheet.for_people(row)] for row in sheet.rows]
    cells = [[str(column.title), *(row[i] for row in rows)] for i, column in enumerate(columns)]
    widths = [max(map(cell_len, texts)) for texts in cells]
    shown = list(range(len(columns)))
    droppable = sorted((columns[i].keep or 0, i) for i in shown if columns[i].keep is not None)
    while width is not None and sum(widths[i] + GAP for i in shown) - GAP > width and droppable:
        shown.remove(droppable.pop(0)[1])
    if len(rows) > _MOST_ROWS:
        return plain_table(
            [[texts[i] for i in shown] for texts in [[c[0] for c in cells], *rows]],
            [columns[i].is_number for i in shown],
        )
    table = empty_table()
    for i in shown:
        table.add_column(
            Text(cells[i][0]),
            justify="right" if columns[i].is_number else "left",
            style=columns[i].style,
            overflow="fold",
            min_width=min(widths[i], _LEGIBLE),
        )
    values = [[value for _, value in sheet.for_people(row)] for row in sheet.rows]
    for row, raw in zip(rows, values, strict=True):
        table.add_row(*(Text(row[i], style=_style(columns[i], raw[i])) for i in shown))
    return table


def _style(column: Column, value: Any) -> str:
    return "" if column.style_of is None else column.style_of(value)


def empty_table() -> Table:
    """Return the table that every report starts from: a line below the head, a gap between columns."""
    # The box puts one of the gap's spaces between columns, the padding the others.
    return Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0), header_style="bold"
    )


def plain_table(rows: list[list[str]], numbers: Sequence[bool]) -> Text:
    """Lay rows out as plain text, the first as the head: for thousands of them, where rich takes seconds."""
    widths = [max(map(cell_len, texts)) for texts in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        parts = []
        for text, width, number in zip(row, widths, numbers, strict=True):
            gap = " " * (width - cell_len(text))
            parts.append(gap + text if number else text + gap)
        lines.append((" " * GAP).join(parts).rstrip())
    rule = "─" * (sum(widths) + GAP * (len(widths) - 1))
    return Text("\n".join([lines[0], rule, *lines[1:]]), no_wrap=True, overflow="ignore")
