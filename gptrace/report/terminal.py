"""Neutral parts → text of a given width, with or without colour. The environment has no say here."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from gptrace.report.glyphs import has_all_glyphs, in_encoding, parts_in_encoding
from gptrace.report.line_breaking import break_lines, broken
from gptrace.report.listing_layout import listing_lines
from gptrace.report.parts import (
    Claims,
    ClaimText,
    Facts,
    Line,
    Lines,
    Listing,
    Part,
    Table,
    Tree,
    line,
    plain,
)
from gptrace.report.quiet_rich import Console, RenderableType, RichTable, Text, Theme, cell_len
from gptrace.report.rich_tables import (
    GAP,
    NATURAL_WIDTH,
    STYLES,
    TERMINAL_LOOKS,
    PlainText,
    table_layout,
    theme_of,
)
from gptrace.report.safe_text import visible
from gptrace.report.tree_layout import tree_table
from gptrace.report.view import View

_THEME = theme_of(TERMINAL_LOOKS)
# Sentences are hard to read on longer lines, however wide the terminal is.
SENTENCE_WIDTH = 100


def to_text(parts: Sequence[Part], view: View) -> str:
    """Return the parts one below the other, a blank line between them, each line without trailing spaces."""
    if not has_all_glyphs(view.encoding):
        parts = parts_in_encoding(parts, view.encoding)
    width = legible_width(parts, view.width)
    out = StringIO()
    printer = console(out, width, view.color)
    for each in renderables(parts, width, color=view.color):
        if isinstance(each, PlainText):
            out.write(each.text + "\n")
        else:
            printer.print(each)
    text = "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())
    return in_encoding(text, view.encoding)  # the rules of tables, which are drawn last


def legible_width(parts: Sequence[Part], width: int | None) -> int | None:
    """Return the width to lay parts out for: claims are sentences, however wide the terminal is."""
    is_prose = any(isinstance(part, Claims) for part in parts)
    return min(width or SENTENCE_WIDTH, SENTENCE_WIDTH) if is_prose else width


def line_text(line: Line, view: View, *, end: str = "\n") -> str:
    """Return one line; the terminal itself breaks it."""
    out = StringIO()
    console(out, None, view.color).print(_text(line), end=end, soft_wrap=True)
    return in_encoding(out.getvalue(), view.encoding)


def renderables(parts: Sequence[Part], width: int | None, *, color: bool) -> list[RenderableType | PlainText]:
    """Return what rich prints, and plain text, a blank line between the parts."""
    result: list[RenderableType | PlainText] = []
    for part in parts:
        result += [*([Text("")] if result else []), *_rendered(part, width, color)]
    return result


def console(out: StringIO, width: int | None, color: bool, theme: Theme = _THEME) -> Console:
    """Return a console that reads no markup and asks the environment nothing."""
    return Console(
        file=out,
        width=width or NATURAL_WIDTH,
        height=100,
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=False,
        force_jupyter=False,
        force_interactive=False,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
        theme=theme,
    )


def _rendered(part: Part, width: int | None, color: bool) -> list[RenderableType | PlainText]:
    match part:
        case Lines():
            fits = width is None or all(cell_len(plain(each)) <= width for each in part.lines)
            return [_wrapped(each, width) for each in (part.lines if fits else part.narrow or part.lines)]
        case Facts():
            return [_facts(part, width)]
        case Table():
            table = table_layout(part, width) if part.data.columns else []
            return [*(_wrapped(each, width) for each in _lines_above(part, width, color)), *table]
        case Tree():
            return [*tree_table(part, width)]
        case Listing():
            return [*listing_lines(part, width)]
        case Claims():
            return [*_claims(part, width or SENTENCE_WIDTH)]


def _lines_above(table: Table, width: int | None, color: bool) -> list[Line]:
    """Return the lines above a table; tints are for readers who see colours."""
    tinted = tuple((piece.text, piece.role) for piece in table.tinted) if color else ()
    legend = table.legend.lines(color=color) if table.legend is not None else []
    beside = tuple(span for each in legend for span in each)
    if width is None or cell_len(plain(beside)) <= width:
        legend = [beside]
    first = [line(table.title, "strong") if table.title else (), tinted, *legend]
    return [*filter(None, first), *table.lines]


def _text(line: Line) -> Text:
    if len(line) == 1:
        return Text(line[0][0], style=STYLES[line[0][1]])
    return Text.assemble(*((text, STYLES[role] or "default") for text, role in line if text))


def _wrapped(line: Line, width: int | None) -> Text:
    """Return a line, broken here: rich breaks inside shapes, and not between Chinese characters."""
    return broken(_text(line), width)


def _facts(facts: Facts, width: int | None) -> RichTable:
    grid = RichTable.grid(padding=(0, GAP, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    names = max((cell_len(name) for name, _ in facts.pairs), default=0)
    room = None if width is None else max(1, width - names - GAP)
    for name, value in facts.pairs:
        grid.add_row(_name(name), _wrapped(value, room))
    return grid


def _name(name: str) -> Text:
    """Return the name of a fact; that of a check that fails begins with its mark."""
    mark, space, rest = name.partition(" ")
    return Text.assemble((mark, STYLES["fails"]), space, rest) if mark == "✗" else Text(name)


def _claims(claims: Claims, width: int) -> list[RenderableType]:
    lines = [Text(visible(claims.title), style="bold")]
    for number, claim in enumerate(claims.claims):
        lines += [*([Text("")] if number else []), *_claim(claim, width)]
    return list(lines)


def _claim(claim: ClaimText, width: int) -> list[Text]:
    """Return a claim as its sentence and its figures, indented below its mark."""
    indent = len(claim.mark) + 1
    first, *rest = break_lines(visible(claim.text), width - indent)
    figures = break_lines(visible(claim.figures), width - indent)
    figures_style = STYLES["quiet" if claim.role == "quiet" else "figures"]
    return [
        Text.assemble((claim.mark, STYLES[claim.role]), " ", first),
        *(Text(" " * indent + line) for line in rest),
        *(Text(" " * indent + line, style=figures_style) for line in figures),
    ]
