"""The page of a trace in a browser, beside that of torchvista: bytes, first paint, and opening a block."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torchvista
from playwright.sync_api import Browser, sync_playwright
from rich.table import Table

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.report import render
from tests.benchmarks.measuring import alternate, row
from tests.browser.opened import browser_path

ROUNDS = 5
# The elements may be there before the browser has painted them.
_FIRST_PAINT = """() => new Promise(resolve => new PerformanceObserver(list => {
    const paint = list.getEntriesByName('first-contentful-paint')[0];
    if (paint) resolve(paint.startTime / 1000);
}).observe({type: 'paint', buffered: true}))"""
# Opens the box of all blocks, and tells the seconds until the next frame is drawn.
_OPEN_BLOCK = """async () => {
    const box = [...document.querySelectorAll('[role=treeitem]')]
        .find(item => item.getAttribute('aria-expanded') === 'false');
    const start = performance.now();
    box.dispatchEvent(new MouseEvent('click', {bubbles: true}));
    await new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)));
    const seconds = (performance.now() - start) / 1000;
    if (box.isConnected && box.getAttribute('aria-expanded') === 'false') throw new Error('still closed');
    return seconds;
}"""


def pages(table: Table) -> None:
    """The 124M model on 16 tokens, in the browser of this machine."""
    session = gptrace.Session("gpt2-small")
    ids = list(range(16))
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        ours, theirs = Path(folder, "gptrace.html"), Path(folder, "torchvista.html")
        ours.write_text(render(session.page(ids=ids), "html"), encoding="utf-8")
        torchvista.trace_model(
            session.model, torch.tensor([ids]), export_format="html", export_path=str(theirs)
        )
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        size, their_size = ([page.stat().st_size / 1024] for page in (ours, theirs))
        row(table, "page of 12 layers", size, their_size, "KiB", "≤ 586 KiB", "torchvista")
        found = alternate(
            {page.stem: partial(_seconds, browser, page, "svg g", _FIRST_PAINT) for page in (ours, theirs)},
            ROUNDS,
        )
        mine, others = found["gptrace"], found["torchvista"]
        row(table, "the same, first paint", mine, others, "s", "≤ 0.5 s", "torchvista")
        opened = [_seconds(browser, ours, "[role=treeitem]", _OPEN_BLOCK) for _ in range(ROUNDS)]
        row(table, "opening a block", opened, opened, "s", "≤ 0.1 s", "itself")
        browser.close()


def _seconds(browser: Browser, path: Path, drawn: str, script: str) -> float:
    """Open a page, wait until `drawn` is there, and return the seconds that a script tells."""
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector(drawn)
    seconds: float = page.evaluate(script)
    page.close()
    return seconds
