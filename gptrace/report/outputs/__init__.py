"""One file for each output, with the name of its record's file: its header, its tables and its CSV.

Each defines `parts(report, view)`, the neutral parts in reading order, and `csv_table(report, view)`, the
same facts as one table for programs. What `parts` says is made with `words`, so that it can be shown in
Chinese; names and figures are plain text. An output whose items can come as a stream also defines
`item_parts(item, view)`, the parts of one item, and where the end adds something `closing_parts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from msgspec.structs import replace

from gptrace.record import Report
from gptrace.report.parts import Part
from gptrace.report.table_data import TableData
from gptrace.report.translated_parts import translated
from gptrace.report.view import View


def parts(report: Report, view: View) -> list[Part]:
    """Return the parts of a report, in reading order."""
    return translated(_module_of(report).parts(report, view), view.language_of(report))


def parts_as_they_come(report: Report, view: View) -> Iterator[list[Part]]:
    """Yield the parts of a report: all at once, or those of a stream's head and then of each item."""
    if not report.is_stream:
        yield parts(report, view)
        return
    if head := parts(replace(report, **{report.items: ()}), view):
        yield head
    for item in getattr(report, report.items):
        yield translated(_module_of(report).item_parts(item, view), view.language_of(report))
    closing_parts = getattr(_module_of(report), "closing_parts", None)
    if closing_parts is not None and (closing := closing_parts(report, view)):
        yield translated(closing, view.language_of(report))


def csv_table(report: Report, view: View) -> TableData:
    """Return the facts of a report as one table for programs."""
    table: TableData = _module_of(report).csv_table(report, view)
    return table


def _module_of(report: Report) -> Any:
    return import_module(f"{__name__}.{report.output_name()}")
