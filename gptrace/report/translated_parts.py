"""The parts of a report in the language of the reader. Renderers after this one see plain text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gptrace.report.parts import Claims, ClaimText, Facts, Line, Lines, Part, Table, Tree, TreeRow
from gptrace.report.table_data import Column, TableData
from gptrace.translation import in_language


def translated(parts: list[Part], language: str) -> list[Part]:
    """Return parts with their words in a language; names, tokens and figures stay as they are."""
    return [_in_chinese(part) for part in parts] if language == "zh" else parts


def _in_chinese(part: Part) -> Part:
    match part:
        case Lines():
            return replace(part, lines=[_line(line) for line in part.lines])
        case Facts():
            return replace(part, pairs=[(_text(name), _line(line)) for name, line in part.pairs])
        case Table():
            lines = [_line(line) for line in part.lines]
            return replace(part, data=_table(part.data), title=_text(part.title), lines=lines)
        case Tree():
            return _tree(part)
        case Claims():
            return replace(part, title=_text(part.title), claims=[_claim(claim) for claim in part.claims])


def _text(text: str) -> str:
    shown: str = in_language(text, "zh")
    return shown


def _line(line: Line) -> Line:
    return tuple((_text(text), role) for text, role in line)


def _table(table: TableData) -> TableData:
    return TableData([_column(column) for column in table.columns], table.rows)


def _column(column: Column) -> Column:
    if column.title is None:
        return column
    return replace(column, title=_text(column.title), show=_shown_in_chinese(column.show))


def _shown_in_chinese(show: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: _text(show(value))


def _tree(tree: Tree) -> Tree:
    return replace(
        tree,
        rows=[_row(row) for row in tree.rows],
        module_title=_text(tree.module_title),
        type_title=_text(tree.type_title),
        shapes_title=_text(tree.shapes_title),
        sizes_title=_text(tree.sizes_title),
        columns=[(_text(title), is_number) for title, is_number in tree.columns],
        too_narrow=lambda titles: _text(tree.too_narrow(titles)),
    )


def _row(row: TreeRow) -> TreeRow:
    texts = ("label", "type", "shapes", "sizes", "entering", "leaving")
    changes: dict[str, Any] = {name: _text(getattr(row, name)) for name in texts}
    return replace(row, cells=[_text(cell) for cell in row.cells], **changes)


def _claim(claim: ClaimText) -> ClaimText:
    return replace(claim, text=_text(claim.text), figures=_text(claim.figures))
