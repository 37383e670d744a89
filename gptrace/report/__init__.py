"""Records → table, JSON, JSON Lines, CSV, Markdown. The only importer of rich."""

from gptrace.report.formats import FORMATS, pieces, render
from gptrace.report.json_report import to_dict
from gptrace.report.view import View

__all__ = ["FORMATS", "View", "pieces", "render", "to_dict"]
