"""The SVG of a trace in a browser: all texts are inside of the picture, and none lies on another."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import pytest
from msgspec.structs import replace
from playwright.sync_api import Page

import gptrace
from gptrace.record import Trace
from tests.browser.opened import THEMES, Opened

HOSTILE = "<b>'\"&amp;你好，世界\x1b[31m" * 4
# Of each text: what it says, and the rectangle that it takes, in pixels of the picture.
BOXES = """() => [...document.querySelectorAll('text')].map((text) => {
  const box = text.getBoundingClientRect();
  return [text.textContent, box.left, box.top, box.right, box.bottom];
})"""
SIZE = "() => document.documentElement.getAttribute('viewBox').split(' ').slice(2).map(Number)"
Box = tuple[str, float, float, float, float]


@cache
def trace(name: str) -> Trace:
    recorded = gptrace.trace("Hello, I am", model="tiny", measure="ops")
    if name == "tiny":
        return recorded
    calls = tuple(
        replace(call, path=call.path.replace("emb", HOSTILE), type=HOSTILE) for call in recorded.calls
    )
    return replace(recorded, calls=calls, model=replace(recorded.model, name=HOSTILE))


def boxes(page: Page) -> list[Box]:
    return [(text, left, top, right, bottom) for text, left, top, right, bottom in page.evaluate(BOXES)]


def overlapping(found: list[Box]) -> list[tuple[str, str]]:
    """Pairs of texts that share more than a pixel in both directions, apart from the space between lines."""
    return [
        (one[0], other[0])
        for number, one in enumerate(found)
        for other in found[number + 1 :]
        if min(one[3], other[3]) - max(one[1], other[1]) > 1
        and min(one[4], other[4]) - max(one[2], other[2]) > 5
    ]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    ("name", "view"),
    [
        ("tiny", {}),
        ("tiny", {"landscape": True}),
        ("tiny", {"only": "att"}),
        ("tiny", {"depth": 9, "landscape": True}),
        ("tiny", {"lang": "zh"}),
        ("hostile", {}),
        ("hostile", {"landscape": True}),
    ],
)
def test_every_text_of_a_picture_can_be_read(
    opened: Opened, name: str, view: dict[str, Any], theme: Literal["light", "dark"]
) -> None:
    svg = trace(name).picture(theme=theme, **view)
    page = opened.open(svg, suffix=".svg", width=1600, height=900)
    found = boxes(page)
    assert len(found) > 20
    width, height = page.evaluate(SIZE)
    outside = [
        text
        for text, left, top, right, bottom in found
        if left < 0 or top < 0 or right > width or bottom > height
    ]
    assert outside == []
    assert overlapping(found) == []


def test_a_wrong_picture_is_noticed(opened: Opened) -> None:
    text = '<text x="{}" y="20" font-size="14">attention</text>'
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg">{text.format(10)}{text.format(40)}{text.format(400)}</svg>'
    )
    page = opened.open(svg, suffix=".svg")
    assert overlapping(boxes(page)) == [("attention", "attention")]
