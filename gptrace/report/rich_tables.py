"""Roles and neutral tables → the styles and tables of rich."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gptrace.report.line_breaking import broken, widest_unit
from gptrace.report.parts import Table
from gptrace.report.quiet_rich import RichTable, Style, Text, Theme, box, cell_len
from gptrace.report.safe_text import visible
from gptrace.report.table_data import Column

# Without a limit: wider than any line, so that nothing is cut or wrapped in a pipe.
NATURAL_WIDTH = 10_000
GAP = 2  # columns of text between the columns of a table
# rich takes seconds to lay out tens of thousands of rows, so longer tables become plain text.
MOST_ROWS = 2000
_LEGIBLE = 6  # columns of text that a folded column keeps

# Only the sixteen colours of the terminal's own theme: they are legible on light and on dark.
TERMINAL_LOOKS = {
    "": "",
    "strong": "bold",
    "quiet": "dim",
    "code": "bold",
    "prompt": "dim",
    "continuation": "bold",
    "changed": "bold magenta",
    "operation": "cyan",
    "bar": "magenta",
    "error": "red",
    "failed": "bold red",
    "holds": "bold green",
    "fails": "bold red",
    "figures": "cyan",
    "rank 1": "bold green",
    "rank 10": "cyan",
    "rank 100": "yellow",
    "likely": "green",
    "fairly likely": "cyan",
    "possible": "",
    "unlikely": "yellow",
    "very unlikely": "underline red",
    "keyword": "magenta",
    "string": "green",
    "comment": "dim",
    "literal": "cyan",
    "definition": "bold",
}
# The names of the roles in a theme of rich: one layout is printed with the looks of a terminal or a picture.
STYLES = {role: f"role.{role}" if role else "" for role in TERMINAL_LOOKS}


def theme_of(looks: Mapping[str, str | Style]) -> Theme:
    """Return the theme of rich that gives each role its look."""
    return Theme({STYLES[role]: look for role, look in looks.items() if role})


@dataclass(frozen=True, slots=True)
class PlainText:
    """Lines that are laid out already: rich would take a while to read thousands of them."""

    text: str


def table_layout(part: Table, width: int | None) -> list[RichTable | PlainText | Text]:
    """Lay a table out for a width; columns that do not fit are folded, or left out, which a line says."""
    table = part.data
    columns = [column for column, _ in table.for_people(table.columns)]
    rows = [[visible(column.text(value)) for column, value in table.for_people(row)] for row in table.rows]
    cells = [[str(column.title), *(row[i] for row in rows)] for i, column in enumerate(columns)]
    widths = [max(map(_width, texts)) for texts in cells]
    shown = _columns_that_fit(columns, widths, width)
    titles = [str(column.title) for i, column in enumerate(columns) if i not in shown and column.title]
    left_out = part.too_narrow(titles) if titles else ""
    if len(rows) > MOST_ROWS:
        head = [texts[0] for texts in cells]
        lines = [[texts[i] for i in shown] for texts in [head, *rows]]
        return [plain_table(lines, [columns[i].is_number for i in shown], left_out)]
    values = [[value for _, value in table.for_people(row)] for row in table.rows]
    units: dict[int, list[list[str]]] = {}  # of each row, in the columns that have them
    for i in shown:
        if (units_of := columns[i].units_of) is not None:
            units[i] = [[visible(unit) for unit in units_of(row_values[i])] for row_values in values]
    if width is not None:
        fitted = _fitted_widths(
            [widths[i] for i in shown], [cells[i] for i in shown], [units.get(i) for i in shown], width
        )
        widths = [dict(zip(shown, fitted, strict=True)).get(i, 0) for i in range(len(columns))]
    for i, units_of_rows in units.items():
        for row, row_units in zip(rows, units_of_rows, strict=True):
            row[i] = _filled(row_units, widths[i])
    layout = empty_table()
    for i in shown:
        layout.add_column(
            broken(Text(cells[i][0]), widths[i]),
            justify="right" if columns[i].is_number else "left",
            style=STYLES[columns[i].role],
            overflow="fold",
            width=widths[i],
        )
    for row, row_values in zip(rows, values, strict=True):
        texts = (Text(row[i], style=_cell_style(columns[i], row_values[i])) for i in shown)
        layout.add_row(*(broken(text, widths[i]) for i, text in zip(shown, texts, strict=True)))
    return [layout, *left_out_line(left_out, width)]


def left_out_line(left_out: str, width: int | None) -> list[Text]:
    """Return the line below a table that says which of its columns are left out, if there are any."""
    return [broken(Text(left_out, style=STYLES["quiet"]), width)] if left_out else []


def _fitted_widths(
    widths: Sequence[int],
    cells: Sequence[Sequence[str]],
    units: Sequence[Sequence[Sequence[str]] | None],
    width: int,
) -> list[int]:
    """Return the widths of columns that fit together: the widest are narrowed first.

    At first none gets narrower than its widest unit, such as a shape. Where that is not enough, units are
    split, and at last words.
    """
    fitted = list(widths)
    room = width - GAP * (len(widths) - 1)
    if sum(fitted) <= room:
        return fitted
    whole = [
        max(max(map(widest_unit, texts)), *(max(map(_width, row), default=0) for row in own or ()))
        if own
        else max(map(widest_unit, texts))
        for texts, own in zip(cells, units, strict=True)
    ]
    split = [[max(widest_unit(text, splits=n) for text in texts) for texts in cells] for n in (1, 2)]
    for floors in (whole, *split, [0] * len(widths)):
        least = [min(natural, max(floor, _LEGIBLE)) for natural, floor in zip(widths, floors, strict=True)]
        fitted = _narrowed(fitted, least, room)
    return fitted


def _narrowed(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Narrow the widest columns first, none below its least width, until the sum of all fits."""
    narrowed = [min(width, max(floor, room)) for width, floor in zip(widths, least, strict=True)]
    while sum(narrowed) > room:
        wider = [i for i, floor in enumerate(least) if narrowed[i] > floor]
        if not wider:
            break
        narrowed[max(wider, key=lambda i: narrowed[i])] -= 1
    return narrowed


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes; most texts are ASCII, and there are many."""
    return len(text) if text.isascii() else cell_len(text)


def _columns_that_fit(columns: Sequence[Column], widths: Sequence[int], width: int | None) -> list[int]:
    shown = list(range(len(columns)))
    droppable = sorted((columns[i].drop_order or 0, i) for i in shown if columns[i].drop_order is not None)
    while width is not None and sum(widths[i] + GAP for i in shown) - GAP > width and droppable:
        shown.remove(droppable.pop(0)[1])
    return shown


def _filled(units: Sequence[str], width: int) -> str:
    """Put units on lines of at most `width` columns; one that is wider has a line of its own."""
    lines: list[list[str]] = []
    filled = 0  # columns of the last line; counted, since a line may hold a whole vocabulary
    for unit in units:
        needed = _width(unit)
        if lines and filled + GAP + needed <= width:
            lines[-1].append(unit)
            filled += GAP + needed
        else:
            lines.append([unit])
            filled = needed
    return "\n".join((" " * GAP).join(line) for line in lines)


def _cell_style(column: Column, value: Any) -> str:
    return "" if column.role_of is None else STYLES[column.role_of(value)]


def empty_table() -> RichTable:
    """Return the table that every layout starts from: a rule below the head, a gap between columns."""
    # The box puts one space of the gap between columns, the padding the others.
    return RichTable(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0), header_style="bold"
    )


def plain_table(rows: list[list[str]], numbers: Sequence[bool], left_out: str = "") -> PlainText:
    """Lay rows out as plain text, the first as the head; say below which columns are left out."""
    widths = [max(map(_width, texts)) for texts in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for text, width, number in zip(row, widths, numbers, strict=True):
            gap = " " * (width - _width(text))
            cells.append(gap + text if number else text + gap)
        lines.append((" " * GAP).join(cells).rstrip())
    rule = "─" * (sum(widths) + GAP * (len(widths) - 1))
    return PlainText("\n".join([lines[0], rule, *lines[1:], *([left_out] if left_out else [])]))
