"""What holds for the page of every model: read by everyone, walked by keys, printed, and small."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page as BrowserPage

import gptrace
from gptrace.record import Page
from gptrace.report.page import to_document
from tests.browser import collection, pages
from tests.browser.collection import EVERY, views_with_data
from tests.browser.opened import THEMES, WIDTHS, Opened, cut_texts, violations, wait_until

Make = Callable[[], Page]
VIEWS = ("map", "why", "attention", "lens", "stream", "loss", "table", "failure")
KEYS = dict(zip(VIEWS, "12345678", strict=True))
# Where there are texts in colours that none of the pages before has; the others have the same styles.
COLORED: dict[Make, tuple[str, ...]] = {
    pages.tiny: VIEWS, pages.broken: ("map", "failure"), pages.spread: ("map", "mesh"),
    collection.batch: ("map",), collection.without_numbers: ("map",),
}  # fmt: skip
# Everything that the key Tab should come to.
_FOCUSABLE = """[...document.querySelectorAll('a[href], button, input, select, summary, [tabindex]')]
    .filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility())"""
# What has the focus on the map: its name, and whether it is a closed box.
_FOCUSED = "(({id, ariaExpanded}) => [id, ariaExpanded === 'false'])(document.activeElement)"
# What has the focus has an outline, or on the map a wide edge.
_IS_SEEN = """(one) => one === document.body || getComputedStyle(one).outlineStyle !== 'none'
    || parseFloat(getComputedStyle(one.querySelector('.shape-of-node') ?? one).strokeWidth) > 3"""


@pytest.mark.parametrize("make", EVERY)
def test_everyone_can_read_every_view(opened: Opened, make: Make) -> None:
    page = make()
    shown = pages.shown(opened, page, hash="#view=map&node=2&head=0")
    for view in (*views_with_data(page), "table"):
        pages.press(shown, (KEYS | {"mesh": "9"})[view])  # which only a spread model has
        for width in WIDTHS:
            shown.set_viewport_size({"width": width, "height": 800})
            assert cut_texts(shown) == [], (view, width)
        if view in COLORED.get(make, ()):
            assert _violations_in_both_themes(shown) == [], view
        elif view in ("map", "failure", "mesh") or len(page.trace.calls) < 10:
            shown.set_viewport_size({"width": 360, "height": 800})
            assert violations(shown, contrast=False) == [], view


def _violations_in_both_themes(shown: BrowserPage) -> list[str]:
    """Light on a laptop, dark on a phone."""
    found = []
    for theme, width in zip(THEMES, (1280, 360), strict=True):
        shown.set_viewport_size({"width": width, "height": 800})
        shown.emulate_media(color_scheme=theme)
        wait_until(shown, f"document.documentElement.dataset.theme === '{theme}'")
        found += violations(shown)
    return found


@pytest.mark.parametrize("make", [pages.tiny, pages.broken])
def test_keys_alone_lead_to_every_node_and_every_view(opened: Opened, make: Make) -> None:
    page = make()
    shown = pages.shown(opened, page)
    pages.press(shown, "1", "ArrowDown", "Home")
    visited: list[str] = []
    key = ""
    for _ in range(3 * len(page.graph.nodes)):
        name, is_closed = shown.evaluate(_FOCUSED)
        if key == "ArrowDown" and name == visited[-1]:
            break
        visited.append(name)
        key = "ArrowRight" if is_closed else "ArrowDown"
        pages.press(shown, key)
    assert {f"node-{node.id}" for node in page.graph.nodes} <= set(visited)
    for view, key in KEYS.items():
        pages.press(shown, key)
        assert shown.locator(f"[role=tab][id$={view}][aria-selected=true]").count() == 1
        assert shown.locator("#view").inner_text().strip() != ""


def test_tab_comes_to_everything_and_is_seen_there(opened: Opened) -> None:
    shown = pages.shown(opened, pages.tiny(), hash="#head=0")
    for view, key in KEYS.items():
        pages.press(shown, key)
        shown.evaluate("document.activeElement.blur(), window.reached = new Set()")
        for _ in range(shown.evaluate(f"{_FOCUSABLE}.length") + 2):
            shown.keyboard.press("Tab")
            is_seen = shown.evaluate(
                f"reached.add(document.activeElement), ({_IS_SEEN})(document.activeElement)"
            )
            assert is_seen, view
        missed = f"{_FOCUSABLE}.filter((one) => !reached.has(one)).map((one) => one.outerHTML.slice(0, 200))"
        assert shown.evaluate(missed) == [], view


@pytest.mark.parametrize("make", [pages.tiny, pages.broken, pages.spread, pages.hostile])
def test_on_paper_each_view_with_data_begins_a_page(opened: Opened, make: Make) -> None:
    page = make()
    shown = pages.shown(opened, page, colors="dark", bypass_csp=True)
    views = views_with_data(page)
    alone = {view: _pages_of_view(shown, at) for at, view in enumerate(views)}
    assert _pages_on_paper(shown) == sum(alone.values()), alone
    assert {view: count for view, count in alone.items() if view in ("map", "failure") and count != 1} == {}
    if make is pages.tiny:
        assert alone == {"map": 1, "why": 3, "attention": 1, "lens": 1, "stream": 2, "loss": 1}


def _pages_of_view(shown: BrowserPage, at: int) -> int:
    """Count the pages of one printed view; the header belongs to the first."""
    others = f".printed-view:not(:nth-child({at + 1} of .printed-view))" + ", header" * (at > 0)
    style = shown.add_style_tag(content=f"@media print {{ {others} {{ display: none !important }} }}")
    try:
        return _pages_on_paper(shown)
    finally:
        style.evaluate("(style) => style.remove()")


def _pages_on_paper(shown: BrowserPage) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", shown.pdf(format="A4")))


@pytest.mark.slow
def test_the_pages_of_many_layers_are_small() -> None:
    assert len(to_document(collection.gpt2_small())) <= 600_000
    assert len(to_document(collection.largest())) <= 800_000
    # With numbers, but without attention; the size depends on the calls and hardly on the width.
    deep = gptrace.GPTModel({"emb_dim": 24, "n_heads": 2, "n_layers": 96}).eval()
    trace = gptrace.Session(deep).trace("Once upon a time there was a little girl", measure="all")
    assert len(to_document(trace.page())) <= 800_000
