"""The judges of the other tests here find what they look for."""

from __future__ import annotations

from playwright.sync_api import Browser

from tests.browser.opened import Opened, cut_texts, violations

_PAGE = "<!doctype html><html lang='en'><title>Page</title><main><h1>Page</h1>{}</main></html>"


def test_axe_finds_text_without_contrast(opened: Opened) -> None:
    assert violations(opened.open(_PAGE.format("<p>legible</p>"))) == []
    faint = opened.open(_PAGE.format("<p style='color:#eee;background:#fff'>faint</p>"))
    assert [text.partition(":")[0] for text in violations(faint)] == ["color-contrast"]


def test_a_page_that_is_too_wide_is_cut(opened: Opened) -> None:
    assert cut_texts(opened.open(_PAGE.format("<p>short</p>"), width=360)) == []
    wide = opened.open(_PAGE.format("<pre>" + "wide " * 200 + "</pre>"), width=360)
    assert cut_texts(wide)[0].startswith("page: ")
    hidden = _PAGE.format("<pre style='overflow:hidden'>" + "wide " * 200 + "</pre>")
    assert cut_texts(opened.open(hidden, width=360))[0].startswith("wide wide")


def test_requests_and_messages_are_kept(browser: Browser, opened: Opened) -> None:
    with Opened.in_browser(browser, opened.folder) as others:
        others.open(_PAGE.format("<img src='http://example.invalid/a.png' alt='a'>"))
        assert others.requests[1:] == ["http://example.invalid/a.png"]
        assert others.messages
