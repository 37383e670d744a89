"""What holds for every view of the page: state in the address, languages, themes, hostile text, paper."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gptrace.report.page import to_document
from tests.browser import pages
from tests.browser.opened import Opened, cut_texts, wait_until


def test_the_address_leads_back_to_what_was_looked_at(opened: Opened) -> None:
    shown = pages.shown(opened, pages.tiny())
    for key in ("7", "]", ","):
        pages.press(shown, key)
    address = shown.evaluate("location.hash")
    assert address == "#view=table&position=2&layer=1"
    again = pages.shown(opened, pages.tiny(), hash=address)
    assert again.locator("[role=tab][aria-selected=true]").inner_text().endswith("Table")
    assert again.locator(".token[aria-pressed=true]").inner_text().startswith("·I")


def test_an_address_that_makes_no_sense_is_harmless(opened: Opened) -> None:
    nonsense = "#view=none&position=999999999&layer=-1&node=12345&open=7.7.x&language=fr&lesson=400"
    shown = pages.shown(opened, pages.tiny(), hash=nonsense)
    assert shown.locator("[role=tab][aria-selected=true]").inner_text().endswith("Map")
    assert shown.locator(".token[aria-pressed=true]").inner_text().startswith("·am")


def test_views_without_data_say_why(opened: Opened) -> None:
    shown = pages.shown(opened, pages.skipping())
    reasons: dict[str, str] = {part.view: part.reason for part in pages.skipping().left_out}
    for key, view in ((2, "why"), (3, "attention"), (4, "lens"), (5, "stream"), (6, "loss")):
        pages.press(shown, str(key))
        assert f"{reasons[view][0].upper()}{reasons[view][1:]}." in shown.inner_text("#view")


def test_the_language_changes_without_a_reload(opened: Opened) -> None:
    shown = pages.shown(opened, pages.tiny())
    shown.get_by_role("button", name="中文").click()
    assert shown.evaluate("document.documentElement.lang") == "zh-CN"
    assert shown.locator("[role=tab]").first.inner_text().endswith("结构图")


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("class='vscode-dark'", "dark"),
        ("class='vscode-high-contrast-light'", "light"),
        ("data-jp-theme-light='false'", "dark"),
        ("data-jp-theme-light='true'", "light"),
        ("data-theme='dark'", "dark"),
    ],
)
def test_the_theme_is_that_of_the_host(opened: Opened, attribute: str, expected: str) -> None:
    document = to_document(pages.skipping()).replace("<body>", f"<body {attribute}>")
    theme: Any = "light" if expected == "dark" else "dark"
    shown = opened.open(document, theme=theme)
    shown.locator("h1").wait_for()
    assert shown.evaluate("document.documentElement.dataset.theme") == expected


def test_the_theme_changes_while_the_page_is_open(opened: Opened) -> None:
    shown = pages.shown(opened, pages.skipping())
    background = "getComputedStyle(document.body).backgroundColor"
    light = shown.evaluate(background)
    shown.emulate_media(color_scheme="dark")
    wait_until(shown, f"{background} !== {light!r}")
    written = pages.shown(opened, pages.skipping(), theme="light")
    assert written.evaluate(background) == light
    written.emulate_media(color_scheme="dark")
    assert written.evaluate(background) == light  # chosen when it was written


@pytest.mark.parametrize("width", [360, 1280])
def test_hostile_text_stays_text(opened: Opened, width: int) -> None:
    shown = pages.shown(opened, pages.hostile(), width=width)
    for key in "12345678":
        pages.press(shown, key)
        assert cut_texts(shown) == [], key
        assert shown.locator("#view img[src=x], .tokens img, h1 img").count() == 0
        text = shown.inner_text("body") + "".join(shown.locator("svg text").all_text_contents())
        assert not re.search("[\u202e\x1b]", text)
    assert "</script><img src=x onerror=alert(1)>\\u202e\\x1b[31m" in shown.inner_text("h1")


def test_paper_is_light_and_the_screen_comes_back(opened: Opened) -> None:
    shown = pages.shown(opened, pages.broken(), colors="dark")
    shown.emulate_media(media="print")
    assert shown.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    shown.emulate_media(media="screen")
    assert shown.locator(".printed-view").count() == 0
