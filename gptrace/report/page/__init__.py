"""The page of a trace, and the one HTML file that it is."""

from __future__ import annotations

from gptrace.record import Graph, LeftOut, Page, PagePrompt, Trace
from gptrace.record.page import ViewName
from gptrace.report.view import View
from gptrace.translation import in_language, recorded

_MEASURED_VIEWS: tuple[ViewName, ...] = ("why", "attention", "lens", "stream", "loss")


def page_of_trace(trace: Trace, lang: str | None = None) -> Page:
    """Return the page of a trace alone: what is measured beside a trace is left out."""
    reason = recorded("the page was made of a trace alone; gptrace run -o FILE.html measures it on the model")
    if trace.error is not None:
        reason = recorded("the model fails before it has any")
    left_out = tuple(LeftOut(view, reason, in_language(reason, "zh")) for view in _MEASURED_VIEWS)
    return Page(
        versions=trace.versions,
        language=View(lang=lang).language_of(None),
        trace=trace,
        graph=Graph((), ()),
        prompts=tuple(PagePrompt() for _ in trace.inputs),
        left_out=left_out,
    )
