"""Code and the shapes at its right → lines for a terminal, the shapes in one column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from gptrace.report.line_breaking import break_lines, broken
from gptrace.report.parts import Line, Listing, ListingRow, plain
from gptrace.report.rich_tables import GAP, NATURAL_WIDTH, STYLES
from gptrace.report.safe_text import shortened_to

_LEAST_CODE = 36  # columns of code beside names and sizes; with less, the sizes go below the names
_MOST_CODE = 100  # columns of code before the shapes, however wide the terminal is
_LONGEST = 160  # columns of a line of code where nothing limits the width
_NARROWEST = 20  # columns of text that the shapes keep at least


def listing_lines(listing: Listing, width: int | None) -> list[Text]:
    """Return the lines of a listing.

    A line of code that reaches into the column of shapes has its shapes on the line below.
    """
    layout = _ListingLayout(listing, width)
    title = [broken(Text(listing.title, style="bold"), width)] if listing.title else []
    return [*title, *(line for row in listing.rows for line in layout.row(row))]


class _ListingLayout:
    """The column at which the shapes begin, and whether sizes stand beside or below the names."""

    def __init__(self, listing: Listing, width: int | None) -> None:
        rows = listing.rows
        self.width = width or NATURAL_WIDTH
        self._numbers = max((len(row.number) for row in rows), default=0)
        self._runs = max((cell_len(row.runs) for row in rows), default=0)
        self.gutter = self._numbers + (1 + self._runs if self._runs else 0) + GAP
        pairs = [pair for row in rows for pair in row.shapes]
        # Shapes with the names of variables are wider than most: they do not widen the column for all.
        usual = [pair for pair in pairs if not _has_variables(pair)] or pairs
        beside = max((cell_len(_one_line(pair)) for pair in usual), default=0)
        self.sizes_beside = self.width - beside - self.gutter >= _LEAST_CODE
        needed = beside if self.sizes_beside else max((max(map(cell_len, pair)) for pair in usual), default=0)
        code = max((cell_len(plain(row.code)) for row in rows if row.shapes), default=0)
        least = self.gutter + min(code, _MOST_CODE) + GAP
        self.column = max(min(self.width - needed, least), self.gutter + 2)
        self.column = min(self.column, max(self.gutter, self.width - _NARROWEST))

    def row(self, row: ListingRow) -> Iterator[Text]:
        """Yield the lines of one row."""
        room = min(self.width - self.gutter, _LONGEST if self.width == NATURAL_WIDTH else self.width)
        code = _cut(row.code, max(room, 1))
        first = Text(f"{row.number:>{self._numbers}}", style=STYLES["quiet"])
        if self._runs:
            first.append(" " + " " * (self._runs - cell_len(row.runs)) + row.runs)
        first.append(" " * GAP)
        text = Text.assemble(first, *((part, STYLES[row.role or role] or "default") for part, role in code))
        shapes = [line for pair in row.shapes for line in self._shape_lines(*pair)]
        if shapes and cell_len(text.plain) + GAP <= self.column:
            text.append(" " * (self.column - cell_len(text.plain)))
            yield Text.assemble(text, shapes.pop(0))
        else:
            yield text
        for shape in shapes:
            yield Text.assemble(" " * self.column, shape)
        for remark in row.remarks:
            yield from self._remark(remark)

    def _shape_lines(self, names: str, sizes: str) -> Iterator[Text]:
        room = max(self.width - self.column, _NARROWEST)
        if self.sizes_beside and cell_len(_one_line((names, sizes))) <= room:
            gap = " " * GAP if sizes else ""
            yield Text.assemble((names, STYLES["figures"]), gap, (sizes, STYLES["quiet"]))
            return
        for line in break_lines(names, room):
            yield Text(line, style=STYLES["figures"])
        for line in break_lines(sizes, room) if sizes else ():
            yield Text(line, style=STYLES["quiet"])

    def _remark(self, remark: Line) -> Iterator[Text]:
        styles = {STYLES[role] for _, role in remark}
        style = styles.pop() if len(styles) == 1 else ""
        for line in break_lines(plain(remark), max(self.width - self.gutter, _NARROWEST)):
            yield Text(" " * self.gutter + line, style=style)


def _one_line(pair: tuple[str, str]) -> str:
    return (" " * GAP).join(filter(None, pair))


def _has_variables(pair: tuple[str, str]) -> bool:
    return not pair[0].startswith("[")


def _cut(code: Line, width: int) -> Sequence[tuple[str, str]]:
    """Return code that takes at most so many columns; an ellipsis stands for its end."""
    spans: list[tuple[str, str]] = []
    left = width
    if cell_len(plain(code)) <= width:
        return code
    for text, role in code:
        if cell_len(text) >= left:
            return [*spans, (shortened_to(text + "…", max(left, 1)), role)]
        spans.append((text, role))
        left -= cell_len(text)
    return spans
