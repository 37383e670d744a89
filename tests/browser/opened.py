"""Files that are open in a browser, and what the browser said about them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

_NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
# A phone, a wide phone, a laptop, and a large screen.
WIDTHS = (360, 420, 1280, 2560)
# In a long table the later rows are as the first ones are.
_ALIKE = "tr:nth-child(n+13), .calls tbody tr:nth-child(n+5)"
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def browser_path() -> str | None:
    """Return the path of a browser on this machine; None where there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@dataclass
class Opened:
    """Opens HTML and SVG in pages of one browser, and keeps each request and each message of the console."""

    browser: Browser
    folder: Path
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    @classmethod
    @contextmanager
    def in_browser(cls, browser: Browser, folder: Path) -> Iterator[Opened]:
        pages = cls(browser, folder)
        try:
            yield pages
        finally:
            for context in pages.contexts:
                context.close()

    def open(
        self, text: str, *, suffix: str = ".html", width: int = 1280, height: int = 800,
        theme: Literal["light", "dark"] = "light", hash: str = "", **context: Any,
    ) -> Page:  # fmt: skip
        """Write a document to a file and open it as a person would, from the disk."""
        path = self.folder / f"{len(self.contexts)}{suffix}"
        path.write_text(text, encoding="utf-8")
        made = self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, **context
        )
        self.contexts.append(made)
        page = made.new_page()
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        page.goto(path.as_uri() + hash)
        return page

    def check(self) -> None:
        """Check that nothing but the files was asked for, and that the browser had nothing to say."""
        own = (self.folder.as_uri(), "data:", "blob:")
        assert [url for url in self.requests if not url.startswith(own)] == []
        assert self.messages == []


def wait_until(page: Page, condition: str, *, frames: int = 300) -> None:
    """Wait until an expression is true on a page, as `Page.wait_for_function` does.

    That one evaluates text inside of the page, which the policy of our pages forbids.
    """
    is_true = page.evaluate(
        f"""(frames) => new Promise((done) => {{
        const look = () => {{
            const isTrue = Boolean({condition});
            if (isTrue || frames-- === 0) done(isTrue);
            else requestAnimationFrame(look);
        }};
        look();
    }})""",
        frames,
    )
    assert is_true, condition


def violations(page: Page, *, contrast: bool = True) -> list[str]:
    """Return what axe, a checker of accessibility, finds wrong with a page, with the elements.

    Nearly all of its time goes to the contrast of texts, which depends on their style alone.
    """
    # The checker is a script of its own, which the policy of our pages would not let in.
    if page.evaluate("!window.axe"):
        page.evaluate(Axe().axe_script)
    found = page.evaluate(
        """([alike, contrast]) => axe.run({exclude: [[alike]]}, {
        resultTypes: ['violations'], rules: {'color-contrast': {enabled: contrast}},
    }).then((results) => results.violations)""",
        [_ALIKE, contrast],
    )
    return [
        f"{rule['id']}: {node['target']} {node['html'][:200]} {node['failureSummary'][:300]}"
        for rule in found
        for node in rule["nodes"]
    ]


def cut_texts(page: Page) -> list[str]:
    """Return the texts of elements that reach out of the page or out of a box that hides the rest.

    What is inside of a box that scrolls may be wider than the box.
    """
    texts: list[str] = page.evaluate(
        """() => {
        const found = [];
        const wide = document.documentElement;
        if (wide.scrollWidth > wide.clientWidth + 1) found.push(`page: ${wide.scrollWidth} px wide`);
        for (const element of document.querySelectorAll('body *')) {
            const style = getComputedStyle(element);
            if (style.overflowX !== 'hidden' && style.overflowX !== 'clip') continue;
            if (style.textOverflow === 'ellipsis' || element.clientWidth <= 1) continue;
            if (element.scrollWidth > element.clientWidth + 1) found.push(element.textContent.slice(0, 60));
        }
        return found;
    }"""
    )
    return texts
