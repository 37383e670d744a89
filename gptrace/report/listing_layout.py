"""Code and the shapes at its right → lines for a terminal, the shapes in one column."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gptrace.report.line_breaking import break_lines, broken
from gptrace.report.parts import Line, Listing, ListingRow, plain
from gptrace.report.quiet_rich import Text, cell_len
from gptrace.report.rich_tables import GAP, NATURAL_WIDTH, STYLES

_LEAST_CODE = 36  # columns of code beside names and sizes; with less, the sizes go below the names
_MOST_CODE = 100  # columns of code before the shapes, however wide the terminal is
_CONTINUATION = 4  # columns by which the rest of a line of code is indented
_NARROWEST = 20  # columns of text that the shapes keep at least
# Where a line of code may end: after a space, and after punctuation.
_SPACE, _PUNCTUATION = re.compile(r" +"), re.compile(r"[(\[{,.]")


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
        *before, code = _wrapped(row.code, max(self.width - self.gutter, _NARROWEST))
        first = Text(f"{row.number:>{self._numbers}}", style=STYLES["quiet"])
        if self._runs:
            first.append(" " + " " * (self._runs - cell_len(row.runs)) + row.runs)
        first.append(" " * GAP)
        text = first
        for part in (*before, code):
            styled = ((text, STYLES[row.role or role] or "default") for text, role in part)
            text = Text.assemble(text, *styled)
            if part is not code:
                yield text
                text = Text(" " * self.gutter)
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


def _wrapped(code: Line, width: int) -> list[Line]:
    """Break a line of code into lines of at most so many columns; nothing of it is lost.

    The rest stands below, indented. Lines end after a space or, where there is none, after punctuation.
    """
    text = plain(code)
    if cell_len(text) <= width:
        return [code]
    own = len(text) - len(text.lstrip())
    indent = " " * min(own + _CONTINUATION, width // 2)
    lines: list[Line] = []
    start = 0
    while start < len(text):
        before = ((indent, ""),) if start else ()
        end = _end_of_line(text, start, width - len(indent if start else ""), own)
        lines.append((*before, *_between(code, start, end)))
        start = end + len(text[end:]) - len(text[end:].lstrip(" "))
    return lines


def _end_of_line(text: str, start: int, width: int, own: int) -> int:
    """Return where a line ends that begins at `start`; not within the indent `own` of the text."""
    end = start
    columns = 0
    while end < len(text) and columns + cell_len(text[end]) <= width:
        columns += cell_len(text[end])
        end += 1
    end = max(end, start + 1)
    if end == len(text):
        return end
    for breaks in (_SPACE, _PUNCTUATION):
        places = [match.end() for match in breaks.finditer(text, max(start, own) + 1, end)]
        if places and places[-1] - start > width // 2:
            return places[-1]
    return end


def _between(code: Line, start: int, end: int) -> Line:
    """Return a part of a line, with its roles."""
    spans: list[tuple[str, str]] = []
    offset = 0
    for text, role in code:
        part = text[max(start - offset, 0) : max(end - offset, 0)]
        spans += [(part, role)] if part else []
        offset += len(text)
    return tuple(spans)
