"""The table of `gptrace run`: every module call as a row, laid out for the width that there is."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gptrace.report.call_text import CallText
from gptrace.report.columns import COLUMNS, DEFAULT_COLUMNS, Column
from gptrace.report.rows import Row
from gptrace.report.sheet import GAP, empty_table, plain_table

_NARROWEST = 20
_MOST_ROWS = 2000
_RULER = Console(file=StringIO(), width=1000)
_CHANGED = "bold magenta"
_QUIET = "dim"


def trace_table(
    rows: Sequence[Row], width: int | None, columns: Sequence[str] = DEFAULT_COLUMNS
) -> Table | Text:
    """Return the table in the widest of three layouts that fits; thousands of rows become plain text.

    wide      names and sizes in columns of their own, one line for each call
    medium    sizes below the names where they do not fit beside them
    narrow    the type below the module too, and the output below the input where needed
    """
    table = _TraceTable(rows, columns)
    return table.plain(width) if len(rows) > _MOST_ROWS else table.fitted(width)


class _TraceTable:
    """The texts of all cells, and how wide each column wants to be."""

    def __init__(self, rows: Sequence[Row], columns: Sequence[str]) -> None:
        self.cells = [CallText(row) for row in rows]
        self.shapes = [_shape_text(cell, columns) for cell in self.cells]
        self.sizes = [cell.sizes if {"input", "output"} <= set(columns) else "" for cell in self.cells]
        self.has_types = "type" in columns
        self.has_shapes = bool({"input", "output"} & set(columns))
        self.extras = [COLUMNS[name] for name in columns if name in COLUMNS]
        self.extra_texts = [[column.show(row) for column in self.extras] for row in rows]

        def widest(title: str, texts: Sequence[str]) -> int:
            return max(len(title), *map(len, texts))

        sides = [name for name in ("input", "output") if name in columns]
        self.title = " → ".join(sides).capitalize()
        self.modules = widest("Module", [cell.module for cell in self.cells])
        self.types = widest("Type", [cell.type for cell in self.cells]) if self.has_types else -GAP
        self.names = widest(self.title, self.shapes) if self.has_shapes else -GAP
        self.beside = max(map(len, self.sizes))
        self.extra = sum(
            GAP + widest(column.title, [texts[i] for texts in self.extra_texts])
            for i, column in enumerate(self.extras)
        )

    def fitted(self, width: int | None) -> Table:
        """Return the widest layout that fits."""
        dropped = self._drop_columns(width) if width is not None else []
        table = self._laid_out(width)
        if dropped:
            names = ", ".join(column.title for column in dropped)
            table.caption = Text(f"not shown for want of room: {names}; a pipe or --width shows all")
            table.caption_justify = "left"
        return table

    def _drop_columns(self, width: int) -> list[Column]:
        """Take columns away from the right until the modules and the shapes have room; return them."""
        least = min(self.modules, _NARROWEST) + (GAP + _NARROWEST if self.has_shapes else 0)
        dropped: list[Column] = []
        while self.extras and least + self.extra > width:
            dropped.insert(0, self.extras.pop())
            last = [texts.pop() for texts in self.extra_texts]
            self.extra -= GAP + max(len(dropped[0].title), *map(len, last))
        return dropped

    def _laid_out(self, width: int | None) -> Table:
        fixed = self.modules + GAP + self.types + self.extra
        sizes = GAP + self.beside if self.beside else 0
        if width is None or not self.has_shapes or width >= fixed + GAP + self.names + sizes:
            return self._wide()
        left = width - fixed - GAP
        if left >= self.names:
            return self._stacked(self.modules, left, types_below=False)
        below = [len(cell.row.below) + len(cell.type) for cell in self.cells] if self.has_types else [0]
        modules = max(self.modules, *below)
        # In a very narrow terminal the shapes break first, at a space, and then the modules.
        left = max(_NARROWEST, width - modules - self.extra - GAP)
        return self._stacked(width - left - self.extra - GAP, left, types_below=self.has_types)

    def plain(self, width: int | None) -> Text:
        """Return one line for each row; sizes and types are left out where they do not fit."""
        room = width or 10**9
        fixed = self.modules + GAP + self.names + self.extra
        has_types = self.has_types and fixed + GAP + self.types <= room
        has_sizes = self.beside and fixed + (GAP + self.types) * has_types + GAP + self.beside <= room
        titles = ["Module", *["Type"] * has_types, *[self.title] * self.has_shapes]
        titles += [*["Sizes"] * bool(has_sizes), *(column.title for column in self.extras)]
        rows = [titles]
        for i, cell in enumerate(self.cells):
            words = [cell.module, *[cell.type] * has_types, *[self.shapes[i]] * self.has_shapes]
            rows.append([*words, *[self.sizes[i]] * bool(has_sizes), *self.extra_texts[i]])
        left = len(titles) - len(self.extras)
        return plain_table(rows, [False] * left + [column.is_number for column in self.extras])

    def _wide(self) -> Table:
        table = empty_table()
        table.add_column("Module", no_wrap=True)
        if self.has_types:
            table.add_column("Type", no_wrap=True, style=_QUIET)
        if self.has_shapes:
            table.add_column(self.title, no_wrap=True)
        if self.beside:
            table.add_column("Sizes", no_wrap=True)
        self._add_extras(table)
        for i, cell in enumerate(self.cells):
            texts: list[Text | str] = [_module(cell)]
            if self.has_types:
                texts.append(cell.type)
            if self.has_shapes:
                texts.append(Text(self.shapes[i], style=_style(cell)))
            if self.beside:
                texts.append(Text(self.sizes[i], style="bold" if cell.changed else ""))
            table.add_row(*texts, *self.extra_texts[i])
        return table

    def _stacked(self, module_width: int, shape_width: int, *, types_below: bool) -> Table:
        table = empty_table()
        table.add_column("Module", width=module_width, overflow="fold")
        beside = self.has_types and not types_below
        if beside:
            table.add_column("Type", no_wrap=True, style=_QUIET)
        table.add_column(self.title, overflow="fold", width=shape_width)
        self._add_extras(table)
        # Where sizes fit beside the names they all start at the same column.
        fitting = [
            len(names)
            for names, sizes in zip(self.shapes, self.sizes, strict=True)
            if sizes and len(names) + GAP + len(sizes) <= shape_width
        ]
        stop = max(fitting, default=0) + GAP
        for i, cell in enumerate(self.cells):
            shape = self._shape_lines(i, shape_width, stop)
            module = _module(cell)
            if types_below and cell.type:
                module.append(f"\n{cell.row.below}{cell.type}", style=_QUIET)
            missing = _height(shape, shape_width) - _height(module, module_width)
            module.append(f"\n{cell.row.below}" * max(0, missing), style=_QUIET)
            table.add_row(module, *([cell.type] if beside else []), shape, *self.extra_texts[i])
        return table

    def _add_extras(self, table: Table) -> None:
        for column in self.extras:
            table.add_column(column.title, no_wrap=True, justify="right" if column.is_number else "left")

    def _shape_lines(self, i: int, width: int, stop: int) -> Text:
        """Put names and sizes on as few lines as they fit on; sizes beside names start at column `stop`."""
        cell, names, sizes = self.cells[i], self.shapes[i], self.sizes[i]
        names_text = Text(names, style=_style(cell))
        if not sizes:
            lines = [names_text]
        elif len(names) + GAP <= stop and stop + len(sizes) <= width:
            names_text.append(" " * (stop - len(names)))
            return names_text.append(sizes, style="not bold default")
        else:
            lines = [names_text, Text(sizes)]
        if len(names) > width and names == cell.names:
            lines[:1] = [
                Text(cell.entering, style=_style(cell)),
                Text(f"→ {cell.leaving}", style=_style(cell)),
            ]
        return Text("\n").join(lines)


def _shape_text(cell: CallText, columns: Sequence[str]) -> str:
    if "input" in columns and "output" in columns:
        return cell.names
    if "output" in columns:
        return cell.entering if cell.leaving == "same" else cell.leaving
    return cell.entering if "input" in columns else ""


def _module(cell: CallText) -> Text:
    # Text.append keeps the styles apart; a style of the whole Text would dim the label too.
    style = "cyan" if cell.row.op is not None else _style(cell)
    return Text().append(cell.row.guide, style=_QUIET).append(cell.label, style=style)


def _style(cell: CallText) -> str:
    return _CHANGED if cell.changed else ""


def _height(text: Text, width: int) -> int:
    """Return the lines that a cell takes in a column of that width."""
    return len(text.wrap(_RULER, width, overflow="fold"))
