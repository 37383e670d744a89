"""A page as text: its trace, and which views of the page it cannot have."""

from __future__ import annotations

from gptrace.record import Page
from gptrace.record.page import ViewName
from gptrace.report.outputs import trace as trace_output
from gptrace.report.parts import Lines, Part, line
from gptrace.report.safe_text import visible
from gptrace.report.table_data import TableData
from gptrace.report.view import View
from gptrace.translation import recorded, words


def parts(page: Page, view: View) -> list[Part]:
    """Return the parts of the trace, and a line for each view that is left out."""
    lines = [
        line(words("left out of {}: {}", _VIEWS[each.view], recorded(visible(each.reason))))
        for each in page.left_out
    ]
    return [*trace_output.parts(page.trace, view), *([Lines(lines)] if lines else [])]


def csv_table(page: Page, view: View) -> TableData:
    """Return the table of the trace."""
    return trace_output.csv_table(page.trace, view)


_VIEWS: dict[ViewName, str] = {
    "map": words("the map"),
    "why": words("the view of the last dimension"),
    "attention": words("the view of attention"),
    "lens": words("the view of the lens"),
    "stream": words("the view of the stream"),
    "loss": words("the view of the loss"),
    "table": words("the table"),
    "failure": words("the view of the failure"),
}
