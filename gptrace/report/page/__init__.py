"""The page of a trace, and the one HTML file that it is.

`page.js` and `page.css` are built from `web/`, at the top of the repository, and committed.
"""

from gptrace.report.page.document import to_document, to_frame
from gptrace.report.page.from_trace import page_of_trace

__all__ = ["page_of_trace", "to_document", "to_frame"]
