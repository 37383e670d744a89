"""The table of `gptrace run`: every module call as a row, laid out for the width that there is."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gptrace.report.call_text import CallText
from gptrace.report.rows import Row
from gptrace.report.sheet import GAP, empty_table

_NARROWEST = 20
_RULER = Console(file=StringIO(), width=1000)
_CHANGED = "bold magenta"
_QUIET = "dim"


def trace_table(rows: Sequence[Row], width: int | None) -> Table:
    """Return the table in the widest of three layouts that fits.

    wide      names and sizes in columns of their own, one line for each call
    medium    sizes below the names where they do not fit beside them
    narrow    the type below the module too, and the output below the input where needed
    """
    cells = [CallText(row) for row in rows]
    modules = max(len("Module"), *(len(cell.module) for cell in cells))
    types = max(len("Type"), *(len(cell.type) for cell in cells))
    shapes = max(len("Input → output"), *(len(cell.names) for cell in cells))
    counts = max(len("Parameters"), *(len(cell.parameters) for cell in cells))
    beside = max(len(cell.sizes) for cell in cells)
    if width is None or width >= modules + types + shapes + beside + counts + 4 * GAP:
        return _wide(cells, sized=beside > 0)
    left = width - modules - types - counts - 3 * GAP
    if left >= shapes:
        return _stacked(cells, modules, left, types_below=False)
    modules = max(modules, *(len(cell.row.below) + len(cell.type) for cell in cells))
    # In a very narrow terminal the shapes break first, at a space, and then the modules.
    left = max(_NARROWEST, width - modules - counts - 2 * GAP)
    return _stacked(cells, width - left - counts - 2 * GAP, left, types_below=True)


def _module(cell: CallText) -> Text:
    # Text.append keeps the styles apart; a style of the whole Text would dim the label too.
    return (
        Text().append(cell.row.guide, style=_QUIET).append(cell.label, style=_CHANGED if cell.changed else "")
    )


def _names(cell: CallText) -> Text:
    return Text(cell.names, style=_CHANGED if cell.changed else "")


def _wide(cells: list[CallText], *, sized: bool) -> Table:
    table = empty_table()
    table.add_column("Module", no_wrap=True)
    table.add_column("Type", no_wrap=True, style=_QUIET)
    table.add_column("Input → output", no_wrap=True)
    if sized:
        table.add_column("Sizes", no_wrap=True)
    table.add_column("Parameters", no_wrap=True, justify="right")
    for cell in cells:
        sizes_text = [Text(cell.sizes, style="bold" if cell.changed else "")] if sized else []
        table.add_row(_module(cell), cell.type, _names(cell), *sizes_text, cell.parameters)
    return table


def _stacked(cells: list[CallText], module_width: int, shape_width: int, *, types_below: bool) -> Table:
    table = empty_table()
    table.add_column("Module", width=module_width, overflow="fold")
    if not types_below:
        table.add_column("Type", no_wrap=True, style=_QUIET)
    table.add_column("Input → output", overflow="fold", width=shape_width)
    table.add_column("Parameters", no_wrap=True, justify="right")
    # Where sizes fit beside the names they all start at the same column.
    beside = [
        len(cell.names)
        for cell in cells
        if cell.sizes and len(cell.names) + GAP + len(cell.sizes) <= shape_width
    ]
    stop = max(beside, default=0) + GAP
    for cell in cells:
        shape = _shape_lines(cell, shape_width, stop)
        module = _module(cell)
        if types_below and cell.type:
            module.append(f"\n{cell.row.below}{cell.type}", style=_QUIET)
        missing = _height(shape, shape_width) - _height(module, module_width)
        module.append(f"\n{cell.row.below}" * max(0, missing), style=_QUIET)
        types = [] if types_below else [cell.type]
        table.add_row(module, *types, shape, cell.parameters)
    return table


def _height(text: Text, width: int) -> int:
    """Return the lines that a cell takes in a column of that width."""
    return len(text.wrap(_RULER, width, overflow="fold"))


def _shape_lines(cell: CallText, width: int, stop: int) -> Text:
    """Put names and sizes on as few lines as they fit on; sizes beside names start at column `stop`."""
    names_text = _names(cell)
    if not cell.sizes:
        lines = [names_text]
    elif len(cell.names) + GAP <= stop and stop + len(cell.sizes) <= width:
        names_text.append(" " * (stop - len(cell.names)))
        return names_text.append(cell.sizes, style="not bold default")
    else:
        lines = [names_text, Text(cell.sizes)]
    if len(cell.names) > width:
        style = _CHANGED if cell.changed else ""
        lines[:1] = [
            Text(cell.entering, style=style),
            Text(f"→ {cell.leaving}", style=style),
        ]
    return Text("\n").join(lines)
