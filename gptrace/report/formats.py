"""One door to every format: a report and the name of a format in, text out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from gptrace.errors import OptionError
from gptrace.record import Check, Page, Report, Trace
from gptrace.record.writing import item_dicts, json_pieces, to_json
from gptrace.report.glyphs import has_all_glyphs
from gptrace.report.titles import title_of
from gptrace.report.view import View

# rich takes a while to import and JSON does not need it, nor the parts of a report: hence the imports inside
# the functions.


def render(report: Report, format: str, view: View | None = None) -> str:
    """Return a report as text in one of `FORMATS`, ending in a newline."""
    return "".join(render_pieces(report, format, view))


def render_pieces(report: Report, format: str, view: View | None = None) -> Iterator[str]:
    """Yield the text of `render` piece by piece, where a format can be written as it is made."""
    if format == "junit":
        return _junit(report)
    if format in PICTURES:
        return _picture(report, format, view or View())
    return FORMATS[format](report, view or View())


def print_report(report: Report, view: View) -> None:
    """Print a report as a table to stdout: as wide as the terminal, or as wide as needed elsewhere."""
    import shutil
    import sys

    from gptrace.report.columns import check_columns

    trace = report.trace if isinstance(report, Page) else report
    if isinstance(trace, Trace):
        check_columns(trace, view.columns, "the trace")
    if view.width is None and sys.stdout.isatty():
        view = dataclasses.replace(view, width=shutil.get_terminal_size().columns)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(render(report, "table", dataclasses.replace(view, encoding=encoding)), end="")


def _table(report: Report, view: View) -> Iterator[str]:
    from gptrace.report import outputs, terminal

    for number, parts in enumerate(outputs.parts_as_they_come(report, view)):
        yield "\n" * bool(number) + terminal.to_text(parts, view)


def _json(report: Report, view: View) -> Iterator[str]:
    yield from json_pieces(report)
    yield "\n"


def _json_lines(report: Report, view: View) -> Iterator[str]:
    return (to_json(item) + "\n" for item in item_dicts(report))


def _csv(report: Report, view: View) -> Iterator[str]:
    from gptrace.report import outputs
    from gptrace.report.table_data import to_csv

    if not report.is_stream:
        yield to_csv(outputs.csv_table(report, view))
        return
    head = replace(report, **{report.items: ()})
    yield to_csv(outputs.csv_table(head, view))
    for item in getattr(report, report.items):
        yield to_csv(outputs.csv_table(replace(head, **{report.items: (item,)}), view), with_head=False)


def _markdown(report: Report, view: View) -> Iterator[str]:
    from gptrace.report import outputs
    from gptrace.report.markdown import to_markdown

    yield to_markdown(outputs.parts(_whole(report), view))


def _html(report: Report, view: View) -> Iterator[str]:
    from gptrace.report import outputs
    from gptrace.report.html import to_page
    from gptrace.report.page import to_document

    if isinstance(report, Trace | Page):
        page = report if isinstance(report, Page) else report.page()
        page = replace(page, language=view.language_of(report))
        yield to_document(page, view.theme, is_ascii=not has_all_glyphs(view.encoding))
        return
    title = title_of(report)
    yield to_page(outputs.parts(_whole(report), view), title, view.language_of(report), view.theme)


def _svg(report: Report, view: View) -> Iterator[str]:
    from gptrace.report import outputs
    from gptrace.report.parts import Lines, line
    from gptrace.report.svg import to_svg

    if isinstance(report, Trace | Page):
        yield from _picture(report, "svg", view)
        return
    # Every row of a report, if they are asked for; else what is legible on a page.
    width = view.width or (None if view.full else _PICTURE_WIDTH)
    title = title_of(report)
    parts = outputs.parts(_whole(report), dataclasses.replace(view, width=width))
    yield to_svg([Lines([line(title, "strong")]), *parts], title, view.language_of(report), view.theme, width)


def _picture(report: Report, format: str, view: View) -> Iterator[str]:
    from gptrace.report.pictures import picture_of

    if not isinstance(report, Trace | Page):
        raise OptionError(f"{format} is no format of this report", "gptrace run draws a trace in it")
    yield picture_of(report.trace if isinstance(report, Page) else report, format, view)


def _junit(report: Report) -> Iterator[str]:
    from gptrace.report.junit import to_junit

    if not isinstance(report, Check):
        raise OptionError("junit is no format of this report", "only gptrace check writes JUnit XML")
    yield to_junit(report)


def _whole(report: Report) -> Report:
    """Wait for all results of a stream, whose sums stand above them."""
    whole: Report = getattr(report, "whole", lambda: report)()
    return whole


_PICTURE_WIDTH = 120  # columns

# Formats of a trace alone.
PICTURES = ("mermaid", "dot")
FORMATS: dict[str, Callable[[Report, View], Iterator[str]]] = {
    "table": _table,
    "json": _json,
    "jsonl": _json_lines,
    "csv": _csv,
    "markdown": _markdown,
    "html": _html,
    "svg": _svg,
}
