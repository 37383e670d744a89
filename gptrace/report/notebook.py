"""How a record shows itself in a notebook: a static element, and the same as text."""

from __future__ import annotations

from dataclasses import dataclass, field

from gptrace.record import Report
from gptrace.report import outputs
from gptrace.report.formats import render
from gptrace.report.html import to_html
from gptrace.report.view import View


@dataclass(frozen=True, slots=True)
class Shown:
    """A record as a view shows it; a notebook displays it."""

    report: Report
    view: View = field(default_factory=View)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Return the table as text for terminals, and as HTML."""
        parts = outputs.parts(self.report, self.view)
        html = to_html(parts, self.view.language_of(self.report), self.view.theme)
        return {"text/plain": render(self.report, "table", self.view).rstrip("\n"), "text/html": html}
