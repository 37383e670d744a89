"""A page in a notebook's frame: its script runs there, though it reaches nothing outside of the frame."""

from __future__ import annotations

import gptrace
from tests.browser.opened import Opened

_NOTEBOOK = "<!doctype html><html lang='en'><title>Notebook</title><main><h1>Notebook</h1>{}</main></html>"


def test_the_page_runs_in_the_frame_of_a_notebook(opened: Opened) -> None:
    page = gptrace.trace("Hello, I am", model="tiny", measure="all").page(lang="en")
    frame = opened.open(_NOTEBOOK.format(page._repr_html_())).frame_locator("iframe")
    frame.get_by_role("tab", name="Table").click()
    assert frame.get_by_text("out_head").first.is_visible()
    assert frame.locator("pre").count() == 0  # what stands there for browsers without scripts
