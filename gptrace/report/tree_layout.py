"""The layout of a tree of calls in a terminal: one line or several for each row, by the width."""

from __future__ import annotations

from collections.abc import Sequence

from gptrace.report.line_breaking import broken
from gptrace.report.parts import Tree, TreeRow
from gptrace.report.quiet_rich import RichTable, Text, cell_len
from gptrace.report.rich_tables import (
    GAP,
    MOST_ROWS,
    NATURAL_WIDTH,
    STYLES,
    PlainText,
    empty_table,
    left_out_line,
    plain_table,
)

_NARROWEST = 20  # columns of text that the shapes keep at least
_MODULES = 28  # columns of text that the modules keep at least, if they are so wide
_LABEL = 4  # columns of text that a label keeps beside the drawing of the tree


def tree_table(tree: Tree, width: int | None) -> list[RichTable | PlainText | Text]:
    """Return a tree in the widest of three layouts that fits; thousands of rows become plain text.

    wide      names and sizes in columns of their own, one line for each row
    medium    sizes below the names where they do not fit beside them
    narrow    the type below the module too, and the output below the input where needed
    """
    layout = _TreeLayout(tree)
    return [layout.plain(width)] if len(tree.rows) > MOST_ROWS else layout.fitted(width)


class _TreeLayout:
    """The texts of all cells, and the width of each column, in columns of text."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.rows = tree.rows
        self.title = tree.shapes_title
        self.texts = tree.text_columns()
        self.has_types, self.has_shapes = "type" in self.texts, "shapes" in self.texts
        self.columns = list(tree.columns)
        self.cells = [list(row.cells) for row in tree.rows]
        self.lines_below: list[list[str]] = [[] for _ in tree.rows]
        self.modules = _widest(tree.module_title, [_module(row) for row in tree.rows])
        self.types = _widest(tree.type_title, [row.type for row in tree.rows]) if self.has_types else -GAP
        self.shapes = _widest(self.title, [row.shapes for row in tree.rows]) if self.has_shapes else -GAP
        self.sizes = max(cell_len(row.sizes) for row in tree.rows)
        self.extra = sum(
            GAP + _widest(title, [cells[i] for cells in self.cells])
            for i, (title, _) in enumerate(self.columns)
        )

    def fitted(self, width: int | None) -> list[RichTable | PlainText | Text]:
        """Return the widest layout that fits."""
        if width is not None:
            self._put_columns_below(width)
        dropped = self._drop_columns(width) if width is not None else []
        return [self._laid_out(width), *left_out_line(self._too_narrow(dropped), width)]

    def _put_columns_below(self, width: int) -> None:
        """Put columns that may stand below the shapes there, from the right, until the shapes fit."""
        may = [i for i in range(len(self.columns)) if any(row.lines[i] for row in self.rows)]
        while may and self.has_shapes and self._stacked_modules() + GAP + self.shapes + self.extra > width:
            i = may.pop()
            title, _ = self.columns.pop(i)
            self.extra -= GAP + _widest(title, [cells.pop(i) for cells in self.cells])
            for row, lines in zip(self.rows, self.lines_below, strict=True):
                lines[:0] = [row.lines[i]] * bool(row.lines[i])

    def _drop_columns(self, width: int) -> list[str]:
        """Drop columns from the right until modules and shapes have room; return their titles."""
        least = min(self._stacked_modules(), _MODULES) + (GAP + _NARROWEST if self.has_shapes else 0)
        dropped: list[str] = []
        while self.columns and least + self.extra > width:
            title, _ = self.columns.pop()
            self.extra -= GAP + _widest(title, [cells.pop() for cells in self.cells])
            dropped.insert(0, title)
        return dropped

    def _laid_out(self, width: int | None) -> RichTable:
        fixed = self.modules + GAP + self.types + self.extra
        sizes = GAP + self.sizes if self.sizes else 0
        is_stacked = any(self.lines_below)
        if (
            width is None
            or not self.has_shapes
            or (not is_stacked and width >= fixed + GAP + self.shapes + sizes)
        ):
            return self._wide()
        room = width - fixed - GAP
        if room >= self.shapes:
            return self._stacked(self.modules, room, types_below=False)
        modules = self._stacked_modules()
        # In a very narrow terminal the shapes break first, at a space, and then the modules.
        room = max(_NARROWEST, width - modules - self.extra - GAP)
        return self._stacked(width - room - self.extra - GAP, room, types_below=self.has_types)

    def _stacked_modules(self) -> int:
        """Return the width of the modules with their types below them."""
        below = [cell_len(row.below) + cell_len(row.type) for row in self.rows] if self.has_types else [0]
        return max(self.modules, *below)

    def plain(self, width: int | None) -> PlainText:
        """Return one line for each row; types and sizes are left out where they do not fit."""
        room = (width or NATURAL_WIDTH) - self.modules - GAP - self.shapes - self.extra
        texts = dict(self.texts)
        left_out = []
        for field, needed in (("type", self.types), ("sizes", self.sizes)):
            room -= (GAP + needed) * (field in texts)
            if field in texts and room < 0:
                left_out.append(texts.pop(field))
                room += GAP + needed
        lines = [[self.tree.module_title, *texts.values(), *(title for title, _ in self.columns)]]
        for row, cells in zip(self.rows, self.cells, strict=True):
            lines.append([_module(row), *(getattr(row, field) for field in texts), *cells])
        numbers = [False] * (1 + len(texts)) + [is_number for _, is_number in self.columns]
        return plain_table(lines, numbers, self._too_narrow(left_out))

    def _wide(self) -> RichTable:
        table = empty_table()
        table.add_column(self.tree.module_title, no_wrap=True)
        for field, title in self.texts.items():
            table.add_column(title, no_wrap=True, style="dim" if field == "type" else "")
        self._add_columns(table)
        for row, cells in zip(self.rows, self.cells, strict=True):
            styles = {"shapes": STYLES[row.shapes_role], "sizes": "bold" if row.shapes_role else ""}
            texts = [Text(getattr(row, field), style=styles.get(field, "")) for field in self.texts]
            table.add_row(_module_text(row), *texts, *cells)
        return table

    def _stacked(self, module_width: int, shape_width: int, *, types_below: bool) -> RichTable:
        table = empty_table()
        table.add_column(self.tree.module_title, width=module_width, overflow="fold")
        beside = self.has_types and not types_below
        if beside:
            table.add_column(self.tree.type_title, no_wrap=True, style="dim")
        table.add_column(self.title, overflow="fold", width=shape_width)
        self._add_columns(table)
        # Where sizes fit beside the names they all start at the same column.
        fitting = [
            cell_len(row.shapes)
            for row in self.rows
            if row.sizes and cell_len(row.shapes) + GAP + cell_len(row.sizes) <= shape_width
        ]
        stop = max(fitting, default=0) + GAP
        for row, cells, lines in zip(self.rows, self.cells, self.lines_below, strict=True):
            shape = Text("\n").join(
                [_shape_lines(row, shape_width, stop), *(broken(Text(line), shape_width) for line in lines)]
            )
            module = _module_lines(row, module_width, type_below=types_below)
            missing = shape.plain.count("\n") - module.plain.count("\n")
            module.append(f"\n{row.below}" * max(0, missing), style="dim")
            table.add_row(module, *([row.type] if beside else []), shape, *cells)
        return table

    def _too_narrow(self, titles: Sequence[str]) -> str:
        return self.tree.too_narrow(titles) if titles else ""

    def _add_columns(self, table: RichTable) -> None:
        for title, is_number in self.columns:
            table.add_column(title, no_wrap=True, justify="right" if is_number else "left")


def _widest(title: str, texts: Sequence[str]) -> int:
    return max(map(cell_len, (title, *texts)))


def _shape_lines(row: TreeRow, width: int, stop: int) -> Text:
    """Put names and sizes on as few lines as possible; sizes beside names start at column `stop`."""
    style = STYLES[row.shapes_role]
    names = Text(row.shapes, style=style)
    if row.sizes and cell_len(row.shapes) + GAP <= stop and stop + cell_len(row.sizes) <= width:
        names.append(" " * (stop - cell_len(row.shapes)))
        return names.append(row.sizes, style="not bold default")
    lines = [names, *([Text(row.sizes)] if row.sizes else [])]
    arrow = row.shapes.removeprefix(row.entering).removesuffix(row.leaving)
    if cell_len(row.shapes) > width and arrow in (" → ", " -> "):
        leaving = arrow.lstrip() + row.leaving
        sizes = _sizes_by_side(row, arrow)
        column = max(cell_len(row.entering) if sizes[0] else 0, cell_len(leaving)) + GAP
        widest = max(map(cell_len, sizes))
        lines[:1] = [Text(row.entering, style=style), Text(leaving, style=style)]
        if row.sizes and column + widest <= width:
            column = stop if column <= stop <= width - widest else column
            del lines[2:]
            for line, text in zip(lines, sizes, strict=True):
                line.append(
                    (" " * (column - cell_len(line.plain)) + text) if text else "", style="not bold default"
                )
    return Text("\n").join(broken(line, width) for line in lines)


def _sizes_by_side(row: TreeRow, arrow: str) -> tuple[str, str]:
    """Return the sizes that belong beside the names of what comes in, and beside those of what leaves."""
    entering, separator, leaving = row.sizes.partition(arrow)
    return (entering, arrow.lstrip() + leaving) if separator else ("", entering)


def _module(row: TreeRow) -> str:
    return row.guide + row.label


def _module_text(row: TreeRow) -> Text:
    # Text.append keeps the styles apart; a style of the whole Text would dim the label too.
    return Text().append(row.guide, style="dim").append(row.label, style=STYLES[row.role])


def _module_lines(row: TreeRow, width: int, *, type_below: bool) -> Text:
    """Return a module and perhaps its type; every line of the cell goes on with the drawing of the tree."""
    label = Text(row.label, style=STYLES[row.role])
    types = [Text(row.type, style="dim")] if type_below and row.type else []
    lines: list[Text] = []
    for text in (label, *types):
        room = max(_LABEL, width - cell_len(row.below if lines else row.guide))
        lines += broken(text, room).split("\n")
    guides = [row.guide, *([row.below] * (len(lines) - 1))]
    return Text("\n").join(
        Text().append(guide, style="dim").append_text(line) for guide, line in zip(guides, lines, strict=True)
    )
