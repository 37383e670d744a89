"""Fixtures: one headless browser for each worker, and pages whose requests and messages are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.opened import Opened, browser_path

_SKIPPED = "no browser was found: `sh tests/browser/install.sh` installs one on Debian"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = browser_path()
    if executable is None:
        pytest.skip(_SKIPPED)
    with sync_playwright() as playwright:
        # Containers run as root, where the sandbox of Chromium refuses to start.
        launched = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        yield launched
        launched.close()


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    """Open files in the browser; at the end no request and no message on the console may have been made."""
    with Opened.in_browser(browser, tmp_path) as pages:
        yield pages
    pages.check()
