"""A stream of results → pieces of a report, each as soon as its result is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gptrace.record import TopKStream
from gptrace.report.document import Document, document
from gptrace.report.sheet import Sheet, to_csv
from gptrace.report.terminal import to_text
from gptrace.report.view import View

_NOTHING = Sheet((), ())


def table_pieces(stream: TopKStream, view: View) -> Iterator[str]:
    """Yield what is known before, then a table for each prompt."""
    head = document(stream.head(), view)
    yield to_text(head, view)
    for result in stream.results:
        one = document(replace(stream.head(), results=(result,)), view)
        yield "\n" + to_text(Document(_NOTHING, sheets=one.sheets, problems=one.problems), view)


def csv_pieces(stream: TopKStream, view: View) -> Iterator[str]:
    """Yield the head of the columns, then the rows of each prompt."""
    yield to_csv(document(stream.head(), view).flat)
    for result in stream.results:
        one = document(replace(stream.head(), results=(result,)), view)
        yield to_csv(one.flat, with_head=False)
