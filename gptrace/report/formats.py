"""One door to every format: a record and the name of a format in, text out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gptrace.printable import Printable
from gptrace.record import TopKStream
from gptrace.report.json_report import json_lines, json_pieces, to_json
from gptrace.report.view import View

# rich, and what is built on it, takes a while to import, and JSON does not need it: hence the imports
# inside the functions.


def render(record: Printable, form: str, view: View | None = None) -> str:
    """Return a record as text in one of `FORMATS`, ending in a newline."""
    return "".join(pieces(record, form, view))


def pieces(record: Printable, form: str, view: View | None = None) -> Iterator[str]:
    """Yield what `render` returns piece by piece, where a format can be written as it is made."""
    return FORMATS[form](record, view or View())


def _table(record: Printable, view: View) -> Iterator[str]:
    if isinstance(record, TopKStream):
        from gptrace.report.streaming import table_pieces

        yield from table_pieces(record, view)
        return
    from gptrace.report.document import document
    from gptrace.report.terminal import to_text

    yield to_text(document(record, view), view)


def _json(record: Printable, view: View) -> Iterator[str]:
    yield from json_pieces(record)
    yield "\n"


def _json_lines(record: Printable, view: View) -> Iterator[str]:
    return (to_json(line) + "\n" for line in json_lines(record))


def _csv(record: Printable, view: View) -> Iterator[str]:
    if isinstance(record, TopKStream):
        from gptrace.report.streaming import csv_pieces

        yield from csv_pieces(record, view)
        return
    from gptrace.report.document import document
    from gptrace.report.sheet import to_csv

    yield to_csv(document(record, view).flat)


def _markdown(record: Printable, view: View) -> Iterator[str]:
    from gptrace.report.columns import DEFAULT_COLUMNS
    from gptrace.report.document import document
    from gptrace.report.markdown import to_markdown

    yield to_markdown(document(record, view), view.columns or DEFAULT_COLUMNS)


def _html(record: Printable, view: View) -> Iterator[str]:
    from gptrace.report.document import document
    from gptrace.report.html import to_html

    yield to_html(document(record, view), view)


FORMATS: dict[str, Callable[[Printable, View], Iterator[str]]] = {
    "table": _table,
    "json": _json,
    "jsonl": _json_lines,
    "csv": _csv,
    "markdown": _markdown,
    "html": _html,
}
