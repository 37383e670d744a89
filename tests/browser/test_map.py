"""The map: boxes in boxes, every edge of the record, and a walk through it with the keyboard alone."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page as BrowserPage

from gptrace.record import Page
from tests.browser import pages
from tests.browser.collection import EVERY_MAP
from tests.browser.opened import WIDTHS, Opened, wait_until

# The rectangles of the nodes that are shown, without the strips behind an open box's name.
_RECTANGLES = """() => Object.fromEntries([...document.querySelectorAll('[role=treeitem]')].map((node) => {
    const isOpen = node.getAttribute('aria-expanded') === 'true';
    const frames = [...document.querySelectorAll('.frame')].map((frame) => frame.getBoundingClientRect());
    const own = node.querySelector('.shape-of-node').getBoundingClientRect();
    const frame = isOpen && frames.find((one) => Math.abs(one.x - own.x) < 1 && Math.abs(one.y - own.y) < 1);
    const { x, y, width, height } = frame || own;
    return [node.id.replace('node-', ''), { x, y, width, height }];
}))"""


def _opened_everything(opened: Opened, page: Page) -> BrowserPage:
    boxes = {node.parent for node in page.graph.nodes if node.parent is not None}
    return pages.shown(opened, page, hash=f"#view=map&open={'.'.join(map(str, sorted(boxes)))}")


@pytest.mark.parametrize("model", EVERY_MAP)
def test_every_edge_is_drawn_and_boxes_hold_what_is_theirs(opened: Opened, model: Any) -> None:
    page = model()
    shown = _opened_everything(opened, page)
    drawn = shown.locator("svg.map [data-edge]").evaluate_all("all => all.map((one) => +one.dataset.edge)")
    assert sorted(drawn) == list(range(len(page.graph.edges)))  # and no other
    lines = shown.locator("svg.map [data-edge] > path:first-child").evaluate_all(
        "all => all.map((one) => one.getTotalLength())"
    )
    assert min(lines) > 1
    rectangles = shown.evaluate(_RECTANGLES)
    nodes = {str(node.id): node for node in page.graph.nodes}
    assert set(nodes) <= set(rectangles)
    for name, node in nodes.items():
        if node.parent is not None:
            assert _is_inside(rectangles[name], rectangles[str(node.parent)]), node
        siblings = [other for other in nodes if nodes[other].parent == node.parent and other > name]
        assert not [other for other in siblings if _overlap(rectangles[name], rectangles[other])], node


def _is_inside(inner: dict[str, float], outer: dict[str, float]) -> bool:
    return all(
        inner[start] >= outer[start] - 1 and inner[start] + inner[size] <= outer[start] + outer[size] + 1
        for start, size in (("x", "width"), ("y", "height"))
    )


def _overlap(one: dict[str, float], other: dict[str, float]) -> bool:
    return all(
        one[start] < other[start] + other[size] - 1 and other[start] < one[start] + one[size] - 1
        for start, size in (("x", "width"), ("y", "height"))
    )


def test_the_residual_connections_of_a_block_run_beside_it(opened: Opened) -> None:
    shown = _opened_everything(opened, pages.tiny())
    assert shown.locator("svg.map .edge.skip").count() == 2  # one for each half of the block
    assert shown.locator("svg.map .edge.loop").count() == 1  # each block feeds the next


def test_the_map_is_walked_with_the_keyboard_alone(opened: Opened) -> None:
    shown = pages.shown(opened, pages.tiny())
    names = [_press(shown, "ArrowDown") for _ in range(7)]
    assert [name.partition(",")[0] for name in names] == [
        "GPTModel", "arange", "tok_emb Embedding", "pos_emb Embedding", "add", "drop_emb Dropout",
        "trf_blocks × 2 TransformerBlock",
    ]  # fmt: skip
    assert _press(shown, "ArrowRight").startswith("0 / 0–1 TransformerBlock")
    assert _press(shown, "ArrowRight").startswith("norm1")
    pages.press(shown, "]")
    assert shown.inner_text("aside h2") == "trf_blocks.1.norm1"
    assert _press(shown, "ArrowLeft").startswith("1 / 0–1 TransformerBlock")
    assert _press(shown, "ArrowLeft").startswith("0–1 × 2 TransformerBlock")
    pages.press(shown, "/")
    shown.keyboard.type("softmax")
    pages.press(shown, "Enter")
    wait_until(shown, "document.activeElement.getAttribute('role') === 'treeitem'")
    assert _focused(shown).startswith("softmax")
    assert shown.inner_text("aside h2") == "softmax"
    pages.press(shown, "Escape")
    assert shown.locator("aside h2").count() == 0


def _press(shown: BrowserPage, key: str) -> str:
    pages.press(shown, key)
    return _focused(shown)


def _focused(shown: BrowserPage) -> str:
    return str(shown.evaluate("document.activeElement.getAttribute('aria-label') ?? ''"))


def test_the_values_of_a_tensor_fit_into_the_inspector(opened: Opened) -> None:
    page = pages.tiny()
    (node,) = (node.id for node in page.graph.nodes if node.label == "final_norm")
    shown = pages.shown(opened, page, hash=f"#node={node}")
    assert shown.locator(".statistics dt").all_inner_texts() == [
        "mean",
        "std",
        "min",
        "max",
        "nan",
        "infinite",
    ]
    for width in WIDTHS:
        shown.set_viewport_size({"width": width, "height": 800})
        too_wide = "[...document.querySelectorAll('.inspector, .statistics > div')]"
        too_wide += ".filter((one) => one.scrollWidth > one.clientWidth).length"
        assert shown.evaluate(too_wide) == 0, width


def test_the_lesson_says_the_claims_over_the_map(opened: Opened) -> None:
    page = pages.tiny()
    claims = [claim for topic in page.explanations[0].topics for claim in topic.claims]
    shown = pages.shown(opened, page)
    pages.press(shown, "Space")
    assert claims[0].text in shown.inner_text(".lesson")
    pages.press(shown, "Space")
    assert shown.locator(".node.told").evaluate_all("all => all.map((one) => one.ariaLabel)") == [
        "tok_emb Embedding, module"
    ]
    pages.press(shown, "Shift+Space")
    assert claims[0].text in shown.inner_text(".lesson")
    pages.press(shown, "Escape")
    assert shown.locator(".lesson").count() == 0


def test_the_map_is_saved_as_a_picture(opened: Opened) -> None:
    shown = pages.shown(opened, pages.tiny())
    with shown.expect_download() as download:
        shown.get_by_role("button", name="PNG").click()
    data = download.value.path().read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 20_000  # an empty one compresses to a fraction of this
