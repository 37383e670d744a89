"""Opens a page in the browser."""

from __future__ import annotations

import os
import webbrowser
from pathlib import Path

from gptrace.errors import GptraceError, RunError


def open_page(file: Path) -> GptraceError | None:
    """Open a file in the browser; return the error to end with where there is none."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        browser = None
    # One of the terminal runs no script; it is taken only where the user names it.
    is_of_terminal = type(browser) is webbrowser.GenericBrowser and not os.environ.get("BROWSER")
    if browser is not None and not is_of_terminal and browser.open(file.absolute().as_uri()):
        return None
    return RunError("--open: no browser is found here", f"the page is in {file}: open it in a browser")
