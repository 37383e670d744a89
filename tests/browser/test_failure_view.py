"""A page with a failure opens there: what came in, what was expected, and what was not reached."""

from __future__ import annotations

from msgspec.structs import replace

from gptrace.record import Check
from gptrace.record.check import CheckResult, SourceLine
from tests.browser import pages
from tests.browser.opened import Opened

_COVERED = """(() => {
    const remark = document.querySelector('.remark rect').getBoundingClientRect();
    const isCovered = ({left, right, top, bottom}) =>
        left < remark.right && right > remark.left && top < remark.bottom && bottom > remark.top;
    return [...document.querySelectorAll('.label text, .node:not(.open) text')]
        .filter((text) => isCovered(text.getBoundingClientRect())).map((text) => text.textContent);
})()"""


def test_the_page_opens_at_the_failure(opened: Opened) -> None:
    page = pages.broken()
    shown = pages.shown(opened, page)
    assert shown.locator("[role=tab][aria-selected=true]").inner_text().endswith("Failure")
    assert shown.locator(".node.failed").get_attribute("aria-label") == "out_head Linear, module, failed here"
    assert shown.locator(".remark text").all_text_contents() == [
        "Linear expects [..., 12]", "got [1, 4, 24]", "made by final_norm",
    ]  # fmt: skip
    (edge,) = shown.locator(".edge.bad").evaluate_all("all => all.map((one) => +one.dataset.edge)")
    assert page.graph.edges[edge].shape == (1, 4, 24)
    unreached = shown.locator(".node.unreached").get_attribute("aria-label")
    assert unreached == "softmax, never ran"
    text = shown.inner_text("aside")
    assert "RuntimeError in out_head" in text
    assert "logits: Tensor = self.softmax(self.out_head(x))" in text
    assert page.trace.error is not None
    assert page.trace.error.message in text


def test_the_cause_and_the_line_are_told_in_both_languages(opened: Opened) -> None:
    shown = pages.shown(opened, pages.broken())
    shown.get_by_role("button", name="中文").click()
    assert shown.locator(".remark text").all_text_contents() == [
        "Linear 要的是 [..., 12]", "得到的是 [1, 4, 24]", "由 final_norm 给出",
    ]  # fmt: skip
    text = shown.inner_text("aside")
    assert pages.broken().diagnosis_zh in text
    assert "forward 中" in text
    assert "expects" not in text


def test_the_checks_are_told_in_both_languages(opened: Opened) -> None:
    page = pages.tiny()
    result = CheckResult(name="causal", holds=False, sentence="later tokens change it")
    check = Check(page.versions, page.trace.model, "en", (result,))
    translated = replace(check, language="zh", checks=(replace(result, sentence="后面的 token 会改变它"),))
    shown = pages.shown(opened, replace(page, check=check, check_translated=translated))
    assert "later tokens change it" in shown.inner_text("aside")
    shown.get_by_role("button", name="中文").click()
    assert "后面的 token 会改变它" in shown.inner_text("aside")
    assert "later tokens" not in shown.inner_text("aside")


def test_a_remark_covers_no_name_and_no_size(opened: Opened) -> None:
    shown = pages.shown(opened, pages.broken())
    assert shown.evaluate(_COVERED) == []


def test_the_failure_and_its_remark_are_in_sight_on_a_phone(opened: Opened) -> None:
    shown = pages.shown(opened, pages.broken(), width=390)
    for part in (".frame", ".node.failed", ".remark"):
        box = shown.locator(f"svg.map {part}").first.bounding_box()
        assert box is not None
        assert box["x"] >= 0, part
        assert box["x"] + box["width"] <= 390, part


def test_the_operation_that_a_check_blames_is_marked(opened: Opened) -> None:
    page = pages.tiny()
    softmax = next(node for node in page.graph.nodes if node.label == "softmax")
    assert softmax.call is not None
    assert softmax.op is not None
    call = page.trace.calls[softmax.call]
    file, _, line = call.ops[softmax.op].source.rpartition(":")
    results = tuple(
        CheckResult(
            name=name, holds=False, sentence="later tokens change it", path=call.path, operation="softmax",
            source=SourceLine(file, int(line), "attn_weights = torch.softmax(scores)"),
        )
        for name in ("causal", "padding")
    )  # fmt: skip
    right = CheckResult(name="finite", holds=True, sentence="all logits are finite")
    check = Check(page.versions, page.trace.model, "en", (right, *results))
    shown = pages.shown(opened, replace(page, check=check))
    assert shown.locator(".node.failed").get_attribute("id") == f"node-{softmax.id}"
    assert shown.locator(".remark text").all_text_contents() == [
        "✗ causal", "✗ padding", "attn_weights = torch.softmax(scores)",
    ]  # fmt: skip
    assert shown.inner_text("aside").count("attn_weights = torch.softmax(scores)") == 1
