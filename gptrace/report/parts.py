"""The neutral parts of a report: text with roles, facts, tables, trees, claims. No renderer owns them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gptrace.report.table_data import TableData
from gptrace.translation import joined, words

# Text and its role. Roles say what a text is; each renderer decides how a role looks. "" is plain text.
Span = tuple[str, str]
Line = tuple[Span, ...]


def line(text: str, role: str = "") -> Line:
    """Return a line of one span."""
    return ((text, role),)


def plain(spans: Line) -> str:
    """Return the text of a line without its roles."""
    return "".join(text for text, _ in spans)


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of text; `aligned` ones stand exactly below each other.

    `narrow` lines, if there are any, stand in their place where one is wider than the terminal.
    """

    lines: Sequence[Line]
    aligned: bool = False
    narrow: Sequence[Line] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Pairs of a name and a line."""

    pairs: Sequence[tuple[str, Line]]


@dataclass(frozen=True, slots=True)
class Legend:
    """What the tints of a text or of cells mean.

    `text` comes before `tints`, which are labels, each in the role that it explains. `without_color` stands
    in the place of both where there are no colours, `in_words` where the details of the cells stand for them.
    """

    text: str
    tints: Sequence[Span]
    without_color: str = ""
    in_words: str = ""

    def lines(self, *, color: bool) -> list[Line]:
        """Return what comes before the tints, and the tints: lines to be set beside or below each other."""
        if not color:
            return [line(self.without_color, "quiet")] if self.without_color else []
        spans = [span for tint in self.tints for span in (("  ", ""), tint)]
        return [line(self.text, "quiet"), tuple(spans[1:])]


@dataclass(frozen=True, slots=True)
class TintedPiece:
    """A piece of a text, a role that tints it, and the figures that the tint stands for."""

    text: str
    role: str
    figures: str


def _too_narrow(titles: Sequence[str]) -> str:
    return words("too narrow for: {}; a pipe or a larger --width shows all columns", joined(titles))


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a title, and between the two a tinted text, a legend and lines, where there are any.

    The tinted text says nothing without colours, and is left out there. `name` is what a screen reader calls
    a table without a title.
    """

    data: TableData
    title: str = ""
    lines: Sequence[Line] = ()
    tinted: Sequence[TintedPiece] = ()
    legend: Legend | None = None
    name: str = ""
    # Says which columns a terminal is too narrow for, by their titles.
    too_narrow: Callable[[Sequence[str]], str] = _too_narrow


@dataclass(frozen=True, slots=True)
class TreeRow:
    """One row of a tree of calls.

    `guide` is the tree's drawing before the label, `below` the drawing on further lines of the row.
    `shapes` holds the names of the axes, and is `entering → leaving` where both are shown; `sizes` has the
    same in numbers, or nothing where the names are the numbers. `cells` are the texts of the extra columns,
    and `lines` those of the columns that may stand below the shapes: "" where such a line says nothing.
    """

    label: str
    guide: str
    below: str
    depth: int
    type: str
    shapes: str
    sizes: str
    entering: str
    leaving: str
    role: str
    shapes_role: str
    cells: Sequence[str]
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree of calls. `shapes_title` heads the shapes, and is empty where none are shown."""

    rows: Sequence[TreeRow]
    shapes_title: str
    has_types: bool
    # Title, and whether the column holds numbers.
    columns: Sequence[tuple[str, bool]]
    module_title: str = words("Module")
    type_title: str = words("Type")
    sizes_title: str = words("Sizes")
    too_narrow: Callable[[Sequence[str]], str] = _too_narrow

    def text_columns(self) -> dict[str, str]:
        """Return the titles of the columns of text beside the module, by the field of a row."""
        titles = {"type": self.type_title if self.has_types else "", "shapes": self.shapes_title}
        titles["sizes"] = self.sizes_title if any(row.sizes for row in self.rows) else ""
        return {field: title for field, title in titles.items() if title}


@dataclass(frozen=True, slots=True)
class ClaimText:
    """A claim with its mark, and the figures below it."""

    mark: str
    role: str
    text: str
    figures: str


@dataclass(frozen=True, slots=True)
class Claims:
    """A title and the claims below it."""

    title: str
    claims: Sequence[ClaimText]


@dataclass(frozen=True, slots=True)
class ListingRow:
    """One line of code.

    `shapes` are pairs of axis names and sizes, each for a line of its own; sizes are "" where the names are
    the numbers. `runs` says how often the line ran. `remarks` stand below it. A row with the role "quiet" is
    code that did not run. A row without a number stands for lines that are folded.
    """

    number: str
    code: Line
    runs: str = ""
    shapes: Sequence[tuple[str, str]] = ()
    role: str = ""
    remarks: Sequence[Line] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """Code with the shapes that its lines make at its right."""

    title: str
    rows: Sequence[ListingRow]


Part = Lines | Facts | Table | Tree | Claims | Listing
