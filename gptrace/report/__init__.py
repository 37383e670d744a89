"""Reports → table, JSON, JSON Lines, CSV, Markdown, HTML, SVG; traces → pictures. The only importer of rich.

`outputs/` has one file for each record, which turns it into the neutral parts of `parts.py`. `terminal.py`,
`markdown.py`, `html.py` and `svg.py` lay parts out, and know no record. `formats.py` is the door to all of
them.
"""

from gptrace.report.formats import FORMATS, print_report, render, render_pieces
from gptrace.report.view import View

__all__ = ["FORMATS", "View", "print_report", "render", "render_pieces"]
