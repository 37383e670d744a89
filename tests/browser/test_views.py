"""The views of one prompt: their numbers are those of the record, and keys alone lead through them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page as Tab

import gptrace
from gptrace.record import Page
from gptrace.report.page import to_document
from tests.browser.opened import Opened, cut_texts

VIEWS = ("why", "attention", "lens", "stream", "loss")
HOSTILE = "<img src=x onerror=alert(1)> \u202eevil\u202c \x1b[31m a\u200bb\n\n\t&amp; \"'\\"

Open = Callable[..., Tab]


@pytest.fixture(scope="module")
def page() -> Page:
    return gptrace.Session("tiny").page("Hello, I am", lang="en")


@pytest.fixture
def view(page: Page, opened: Opened) -> Open:
    """Open a view of the page: `view("lens", "&layer=1")`."""
    document = to_document(page)

    def open_view(name: str, more: str = "", **how: object) -> Tab:
        tab = opened.open(document, hash=f"#view={name}{more}", **how)  # type: ignore[arg-type]
        tab.locator(f".view-{name} h2").first.wait_for()
        return tab

    return open_view


def number(text: str) -> float:
    """Return the number that a text begins with."""
    found = re.match(r"[−-]?[\d.]+(?:e-?\d+)?", text.replace(",", ""))
    assert found, text
    return float(found[0].replace("−", "-"))


def test_random_weights_are_said_to_mean_nothing(view: Open) -> None:
    assert "The weights are random" in view("attention").locator(".random-weights").inner_text()
    assert "权重是随机的" in view("loss", "&language=zh").locator(".random-weights").inner_text()


def test_a_logit_is_the_sum_of_its_products(page: Page, view: Open) -> None:
    tab = view("why")
    projection = page.prompts[0].projection
    assert projection is not None
    rows = sorted(projection.rows, key=lambda row: row.id)  # in the order of W
    shown = tab.locator(".rows-of-w tbody tr")
    assert shown.count() == len(rows)
    for at, row in enumerate(rows):
        shown.nth(at).locator("button").press("Enter")
        assert number(shown.nth(at).locator("strong").inner_text()) == pytest.approx(row.logit, abs=1e-4)
        total = tab.locator(".row-detail figcaption strong").inner_text()
        # The page multiplies in float64, the model in float32.
        assert number(total) + row.bias == pytest.approx(row.logit, abs=2e-4)


def test_probabilities_at_any_temperature(page: Page, view: Open) -> None:
    tab = view("why")
    (prediction,) = page.trace.predictions

    def probabilities() -> list[float]:
        texts = tab.locator(".candidates tr:not(.others) .probability .number").all_inner_texts()
        return [number(text) / 100 for text in texts]

    at_1 = [candidate.probability for candidate in prediction.candidates]
    assert probabilities() == pytest.approx(at_1, rel=1e-3)  # four digits are shown
    slider = tab.get_by_role("slider")
    slider.press("End")
    assert tab.locator(".temperature output").inner_text() == "T = 8.00"
    first, *others = prediction.candidates
    for probability, candidate in zip(probabilities()[1:], others, strict=True):
        ratio = math.exp((candidate.logit - first.logit) / 8)
        assert probability / probabilities()[0] == pytest.approx(ratio, rel=2e-3)
    tab.get_by_role("button", name="Back to 1").click()
    assert probabilities() == pytest.approx(at_1, rel=1e-3)


def test_the_claims_stand_beside_in_both_languages(page: Page, view: Open) -> None:
    for language, explanation in zip(("en", "zh"), page.explanations, strict=True):
        tab = view("why", f"&language={language}")
        text = tab.locator(".claims").first.inner_text()
        topic = next(topic for topic in explanation.topics if topic.topic == "projection")
        assert topic.title in text
        assert all(claim.measured in text for claim in topic.claims if "`" not in claim.measured)
        every = sum(len(topic.claims) for topic in explanation.topics)
        assert tab.locator(".claim").count() == every


def test_a_head_is_enlarged_by_keys_and_shows_its_weights(page: Page, view: Open) -> None:
    tab = view("attention", "&position=3")
    tab.locator("#head-0-0").focus()
    for key in ("ArrowRight", "ArrowDown", "Enter"):
        tab.keyboard.press(key)
    tab.locator(".enlarged").wait_for()
    head = page.prompts[0].attention[1].heads[1]
    rows = [head.weights[q * (q + 1) // 2 : (q + 1) * (q + 2) // 2] for q in range(4)]
    for query, row in enumerate(rows):
        cells = tab.locator(".weight-table tbody tr").nth(query).locator("td")
        expected = [str(round(100 * level / 255)) for level in row] + ["masked"] * (3 - query)
        assert cells.all_inner_texts() == expected
    strongest = max(range(4), key=lambda at: rows[3][at])
    assert tab.locator(".top-weights tbody tr").first.locator("td").first.inner_text() == str(strongest)
    tab.keyboard.press("Escape")
    tab.locator(".enlarged").wait_for(state="detached")
    assert tab.evaluate("document.activeElement.id") == "head-1-1"


def test_the_chosen_token_is_a_row_of_every_head(view: Open) -> None:
    tab = view("attention", "&position=1")
    tops = tab.locator(".head-grid .query-row").evaluate_all("rows => rows.map(row => row.style.top)")
    assert set(tops) == {"25%"}
    tab.keyboard.press(".")
    tops = tab.locator(".head-grid .query-row").evaluate_all("rows => rows.map(row => row.style.top)")
    assert set(tops) == {"50%"}


def test_arrows_lead_through_the_lens(page: Page, view: Open) -> None:
    tab = view("lens", "&position=2&layer=0")
    lens = page.prompts[0].lens
    assert lens is not None
    tab.locator(".position-grid td[tabindex='0']").focus()
    for key, layer, position in (("ArrowDown", 1, 2), ("ArrowRight", 1, 3), ("Home", 1, 0)):
        tab.keyboard.press(key)
        cell = lens.layers[layer].cells[position]
        chosen = tab.locator(".position-grid td[aria-selected='true']")
        assert f"#{cell.rank_of_prediction}" in chosen.inner_text()
        shown = tab.locator(".lens-detail .candidates .probability .number").all_inner_texts()
        expected = [candidate.probability for candidate in cell.candidates]
        assert [number(text) / 100 for text in shown] == pytest.approx(expected, rel=1e-3)


def test_the_stream_has_the_sizes_of_the_record(page: Page, view: Open) -> None:
    tab = view("stream", "&position=1")
    points = page.prompts[0].stream
    rows = tab.locator(".step-table tbody tr")
    assert rows.count() == len(points) == tab.locator(".position-grid tbody tr").count()
    for at, point in enumerate(points):
        *_, after = rows.nth(at).locator("td").all_inner_texts()
        assert number(after) == pytest.approx(point.norms[1], rel=1e-2)
    bars = tab.locator(".stream-chart svg[role='img'] .stream-bar")
    assert bars.count() == sum(bool(point.added) for point in points)


def test_the_loss_of_each_token_and_of_the_text(page: Page, view: Open) -> None:
    tab = view("loss", "&position=0")
    result = page.prompts[0].loss
    assert result is not None
    tab.locator(".loss-text button").first.focus()
    assert "nothing before it" in tab.locator(".loss-chosen").inner_text()
    tab.keyboard.press("ArrowRight")
    surprisal = -(result.tokens[1].log_probability or 0)
    assert f"{surprisal:.4f} nats" in tab.locator(".loss-chosen").inner_text()
    whole = tab.locator(".loss-body").inner_text()
    assert f"{result.loss:.4f} nats" in whole
    assert f"{math.log(50257):.4f} nats" in whole


def test_token_text_stays_text(opened: Opened) -> None:
    document = to_document(gptrace.Session("tiny").page(HOSTILE, lang="en"))
    tab = opened.open(document, hash="#view=why&head=0&position=2", width=360)
    for at, name in enumerate(VIEWS):
        tab.keyboard.press(str(2 + at))
        tab.locator(f".view-{name} h2").first.wait_for()
        text = tab.locator("main").inner_text()
        assert not set(text) & set("\u202e\u202c\u200b\x1b")
        assert tab.locator("main img").count() == 0
        assert cut_texts(tab) == []
