"""One door to every format: a record and the name of a format in, text out."""

from __future__ import annotations

from collections.abc import Callable

from gptrace.record import Printable
from gptrace.report.json_report import json_lines, to_dict, to_json
from gptrace.report.view import View

# rich, and what is built on it, takes a while to import, and JSON does not need it: hence the imports
# inside the functions.


def render(record: Printable, form: str, view: View | None = None) -> str:
    """Return a record as text in one of `FORMATS`, ending in a newline."""
    return FORMATS[form](record, view or View())


def _table(record: Printable, view: View) -> str:
    from gptrace.report.document import document
    from gptrace.report.terminal import to_text

    return to_text(document(record, view), view)


def _json(record: Printable, view: View) -> str:
    return to_json(to_dict(record), indent=2) + "\n"


def _json_lines(record: Printable, view: View) -> str:
    return "".join(to_json(line) + "\n" for line in json_lines(record))


def _csv(record: Printable, view: View) -> str:
    from gptrace.report.document import document
    from gptrace.report.sheet import to_csv

    return to_csv(document(record, view).flat)


def _markdown(record: Printable, view: View) -> str:
    from gptrace.report.columns import DEFAULT_COLUMNS
    from gptrace.report.document import document
    from gptrace.report.markdown import to_markdown

    return to_markdown(document(record, view), view.columns or DEFAULT_COLUMNS)


FORMATS: dict[str, Callable[[Printable, View], str]] = {
    "table": _table,
    "json": _json,
    "jsonl": _json_lines,
    "csv": _csv,
    "markdown": _markdown,
}
