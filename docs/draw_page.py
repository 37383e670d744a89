"""Take the pictures of the page in the README, in a browser: python docs/draw_page.py FOLDER

page-map.png, page-why.png and page-attention.png are what Chromium shows of the page of the small model.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

import gptrace
from gptrace.report import render

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.browser.opened import browser_path

TEXT = "Once upon a time there was a little girl"
WIDTH = 1200


# The views, and how high a window shows them well.
VIEWS = {"map": 1150, "why": 760, "attention": 760}


def open_block(page: Page) -> None:
    """Open the block of the map, and let the window show all of it."""
    page.locator("[role=treeitem][aria-label*='TransformerBlock']").first.click()
    page.keyboard.press("f")


def main(folder: Path) -> None:
    """Write the pictures."""
    with TemporaryDirectory() as temporary, sync_playwright() as playwright:
        file = Path(temporary, "page.html")
        file.write_text(render(gptrace.page(TEXT, model="small"), "html"), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        for view, height in VIEWS.items():
            page = browser.new_page(viewport={"width": WIDTH, "height": height}, reduced_motion="reduce")
            page.goto(f"{file.as_uri()}#view={view}")
            page.wait_for_selector("[role=tabpanel]")
            if view == "map":
                open_block(page)
            page.wait_for_timeout(500)  # until everything is drawn
            page.screenshot(path=str(folder / f"page-{view}.png"))
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
