"""The title of a report, for files that have one."""

from __future__ import annotations

from gptrace.record import Page, Report, Trace
from gptrace.report.safe_text import shortened_to

_WIDTH = 80  # columns of the prompt in a title


def title_of(report: Report) -> str:
    """Return the command, and the beginning of the first prompt of a report that is no stream."""
    if isinstance(report, Page):
        return title_of(report.trace)
    title = f"gptrace {'run' if isinstance(report, Trace) else report.output_name()}"
    if report.is_stream:
        return title
    prompts = getattr(report, "inputs", None) or [report, *getattr(report, report.items)]
    # The text of a generation is its continuation.
    texts = (getattr(each, "prompt_text", None) or getattr(each, "text", None) for each in prompts)
    text = " ".join((next(filter(None, texts), None) or "").split())
    return f"{title}: {shortened_to(text, _WIDTH)}" if text else title
