"""A trace alone → its page: the map, the table, the failure."""

from __future__ import annotations

from gptrace.graph import graph_of
from gptrace.record import LeftOut, Page, PagePrompt, Trace
from gptrace.record.page import ViewName
from gptrace.report.view import View
from gptrace.translation import in_language, recorded

_MEASURED_VIEWS: tuple[ViewName, ...] = ("why", "attention", "lens", "stream", "loss")


def page_of_trace(trace: Trace, lang: str | None = None) -> Page:
    """Return the page of a trace; views that are measured on the model are left out."""
    error = trace.error
    reason = "the page was made from a trace alone; gptrace run -o FILE.html measures this on the model"
    if trace.mesh is not None:
        reason = "the model is spread over devices; without --mesh, this is measured on one"
    if error is not None:
        reason = "the model fails before this can be measured"
    left_out = tuple(_left_out(view, reason) for view in _MEASURED_VIEWS)
    if not any(call.ops for call in trace.calls):
        left_out += (_left_out("map", "the trace was recorded without operations, which --ops records"),)
    return Page(
        versions=trace.versions,
        language=View(lang=lang).language_of(None),
        trace=trace,
        graph=graph_of(trace),
        prompts=tuple(PagePrompt() for _ in trace.inputs),
        left_out=left_out,
        diagnosis_zh="" if error is None else _in_chinese(error.diagnosis or ""),
        source_zh="" if error is None else _in_chinese(error.source or ""),
    )


def _left_out(view: ViewName, reason: str) -> LeftOut:
    return LeftOut(view, reason, _in_chinese(reason))


def _in_chinese(text: str) -> str:
    return in_language(recorded(text), "zh")
