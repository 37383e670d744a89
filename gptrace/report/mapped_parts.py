"""The same parts of a report with every text changed: into another language, or for another encoding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gptrace.report.parts import (
    Claims,
    ClaimText,
    Facts,
    Legend,
    Line,
    Lines,
    Listing,
    Part,
    Table,
    Tree,
    TreeRow,
)
from gptrace.report.table_data import Column, TableData

Change = Callable[[str], str]


def with_texts(part: Part, change: Change) -> Part:
    """Return a part in which `change` has been applied to each text that a person sees."""
    match part:
        case Lines():
            lines, narrow = ([_line(each, change) for each in some] for some in (part.lines, part.narrow))
            return replace(part, lines=lines, narrow=narrow)
        case Facts():
            return replace(part, pairs=[(change(name), _line(line, change)) for name, line in part.pairs])
        case Table():
            return _table(part, change)
        case Tree():
            return _tree(part, change)
        case Listing():
            return _listing(part, change)
        case Claims():
            return replace(
                part, title=change(part.title), claims=[_claim(claim, change) for claim in part.claims]
            )


def _listing(listing: Listing, change: Change) -> Listing:
    rows = [
        replace(
            row,
            code=_line(row.code, change),
            runs=change(row.runs),
            shapes=[(change(names), change(sizes)) for names, sizes in row.shapes],
            remarks=[_line(line, change) for line in row.remarks],
        )
        for row in listing.rows
    ]
    return Listing(change(listing.title), rows)


def _line(line: Line, change: Change) -> Line:
    return tuple((change(text), role) for text, role in line)


def _table(table: Table, change: Change) -> Table:
    pieces = [
        replace(piece, text=change(piece.text), figures=change(piece.figures)) for piece in table.tinted
    ]
    return replace(
        table,
        data=TableData([_column(column, change) for column in table.data.columns], table.data.rows),
        title=change(table.title),
        name=change(table.name),
        lines=[_line(line, change) for line in table.lines],
        tinted=pieces,
        legend=table.legend and _legend(table.legend, change),
        too_narrow=lambda titles: change(table.too_narrow(titles)),
    )


def _legend(legend: Legend, change: Change) -> Legend:
    texts = {name: change(getattr(legend, name)) for name in ("text", "without_color", "in_words")}
    return replace(legend, tints=_line(tuple(legend.tints), change), **texts)


def _column(column: Column, change: Change) -> Column:
    units_of, detail_of = column.units_of, column.detail_of
    return replace(
        column,
        title=column.title and change(column.title),
        show=lambda value: change(column.show(value)),
        units_of=None if units_of is None else lambda value: list(map(change, units_of(value))),
        detail_of=None if detail_of is None else lambda value: change(detail_of(value)),
    )


def _tree(tree: Tree, change: Change) -> Tree:
    return replace(
        tree,
        rows=[_row(row, change) for row in tree.rows],
        module_title=change(tree.module_title),
        type_title=change(tree.type_title),
        shapes_title=change(tree.shapes_title),
        sizes_title=change(tree.sizes_title),
        columns=[(change(title), is_number) for title, is_number in tree.columns],
        too_narrow=lambda titles: change(tree.too_narrow(titles)),
    )


def _row(row: TreeRow, change: Change) -> TreeRow:
    texts = ("label", "guide", "below", "type", "shapes", "sizes", "entering", "leaving")
    changes: dict[str, Any] = {name: change(getattr(row, name)) for name in texts}
    cells, lines = ([change(text) for text in some] for some in (row.cells, row.lines))
    return replace(row, cells=cells, lines=lines, **changes)


def _claim(claim: ClaimText, change: Change) -> ClaimText:
    texts = {name: change(getattr(claim, name)) for name in ("mark", "text", "figures")}
    return replace(claim, **texts)
