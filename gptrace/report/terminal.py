"""Rich renderables → text of a given width, with or without colour. The environment has no say here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import StringIO

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from gptrace.report import claims
from gptrace.report.columns import DEFAULT_COLUMNS
from gptrace.report.document import Document
from gptrace.report.sheet import to_table
from gptrace.report.trace_table import trace_table
from gptrace.report.view import View

# Where nothing limits the width: wider than any line, so nothing is cut or wrapped in a pipe.
NATURAL_WIDTH = 10_000


def to_text(document: Document, view: View) -> str:
    """Render a document's parts one below the other."""
    out = StringIO()
    if document.topics:
        view = replace(view, width=min(view.width or claims.WIDTH, claims.WIDTH))
    console(out, view).print(*parts(document, view), sep="\n")
    return "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())


def parts(document: Document, view: View) -> list[RenderableType]:
    """Return what a document is made of, with blank lines between."""
    found: list[RenderableType] = [*document.flow]
    if document.facts:
        found += [*_blank(found), _grid(document.facts)]
    if document.tree:
        found += [*_blank(found), trace_table(document.tree, view.width, view.columns or DEFAULT_COLUMNS)]
    if document.notes:
        found += [*_blank(found), *document.notes]
    for sheet in document.sheets:
        found += _blank(found)
        if sheet.title:
            found.append(Text(sheet.title, style="bold", overflow="fold"))
        found += sheet.lines
        if sheet.columns:
            found.append(to_table(sheet, view.width))
    found += document.problems
    for topic in document.topics:
        found += [*_blank(found), *claims.parts(topic, view.width or claims.WIDTH)]
    return found


def _blank(before: Sequence[object]) -> list[RenderableType]:
    return [Text("")] if before else []


def _grid(facts: Sequence[tuple[str, Text]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, said in facts:
        grid.add_row(Text(name), said)
    return grid


def console(out: StringIO, view: View, *, record: bool = False) -> Console:
    """Return a console that reads no markup and asks the environment nothing.

    Only the sixteen colours of the terminal's own theme are used: they are legible on light and dark.
    """
    return Console(
        file=out,
        width=view.width or NATURAL_WIDTH,
        height=100,
        force_terminal=view.color,
        color_system="standard" if view.color else None,
        no_color=False,
        force_jupyter=False,
        force_interactive=False,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
        record=record,
    )
