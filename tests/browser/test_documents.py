"""Documents and pictures in a real browser: on a phone and a projector, light, dark and on paper."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from playwright.sync_api import Page

from gptrace.report import View, render
from gptrace.report.palette import color_of
from tests.browser.opened import THEMES, WIDTHS, Opened, cut_texts, violations, wait_until
from tests.report.reports import KINDS, every_report

DOCUMENTS = [kind for kind in KINDS if kind != "run"]  # a trace has a page of its own
NOTEBOOK = "<!doctype html><html lang='en'><title>x</title><body {}><main><h1>x</h1>{}</main></body></html>"


def ground_of(page: Page, selector: str) -> str:
    """The colour behind an element, in hexadecimal."""
    color = page.eval_on_selector(selector, "element => getComputedStyle(element).backgroundColor")
    return "#" + "".join(f"{int(channel):02x}" for channel in re.findall(r"\d+", color)[:3])


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_anybody_can_read_a_document_at_any_width(opened: Opened, kind: str) -> None:
    page = opened.open(render(every_report()[kind], "html"))
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert cut_texts(page) == []
    for theme, width in zip(THEMES, (360, 1280), strict=True):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=theme)
        assert ground_of(page, "body") == color_of("paper", theme)
        assert violations(page) == []


def test_what_is_wider_than_a_phone_scrolls_by_the_keyboard(opened: Opened) -> None:
    page = opened.open(render(every_report()["source"], "html"), width=360)
    page.keyboard.press("Tab")
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused.endswith("leaky.py")
    page.keyboard.press("ArrowRight")
    wait_until(page, "document.activeElement.scrollLeft > 0")


def test_the_theme_that_was_asked_for_wins_and_paper_is_white(opened: Opened) -> None:
    text = render(every_report()["lens"], "html", View(theme="dark"))
    page = opened.open(text, theme="light")
    assert ground_of(page, "body") == color_of("paper", "dark")
    page.emulate_media(media="print")
    assert ground_of(page, "body") == color_of("paper", "light")
    assert ground_of(page, ".rank-1") == color_of("near-1", "light")


@pytest.mark.parametrize(("switch", "system", "expected"), [
    ('data-jp-theme-light="false"', "light", "dark"),
    ('data-jp-theme-light="true"', "dark", "light"),
    ('class="vscode-dark"', "light", "dark"),
    ('class="vscode-light"', "dark", "light"),
    ("", "dark", "dark"),
])  # fmt: skip
def test_a_record_follows_the_theme_of_its_notebook(
    opened: Opened, switch: str, system: Literal["light", "dark"], expected: str
) -> None:
    page = opened.open(NOTEBOOK.format(switch, every_report()["check"]._repr_html_()), theme=system)
    assert ground_of(page, ".gptrace") == color_of("paper", expected)
    assert ground_of(page, "body") == "#000000"  # transparent: nothing outside of the element is styled
    if not switch:
        assert violations(page) == []


@pytest.mark.parametrize("kind", ["lens", "loss", "source"])
def test_the_texts_of_a_picture_stay_in_their_columns(opened: Opened, kind: str) -> None:
    page = opened.open(render(every_report()[kind], "svg"), suffix=".svg")
    overlapping = page.evaluate(
        """() => {
        const rows = Map.groupBy(document.querySelectorAll('text'), each => each.getAttribute('y'));
        const found = [];
        for (const row of rows.values()) {
            const boxes = row.map(each => each.getBBox()).sort((one, other) => one.x - other.x);
            boxes.slice(1).forEach((box, number) => {
                if (box.x + 1 < boxes[number].x + boxes[number].width) found.push([box.x, box.y]);
            });
        }
        return found;
    }"""
    )
    assert overlapping == []
    size = page.evaluate("(({width, height}) => [width, height])(document.documentElement.getBBox())")
    width, height = page.evaluate(
        "[document.documentElement.viewBox.baseVal].map(b => [b.width, b.height])[0]"
    )
    assert size[0] <= width
    assert size[1] <= height
