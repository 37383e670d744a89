"""The mesh on the page: its ranks, what each holds, and those with which one exchanges messages."""

from __future__ import annotations

import re

from msgspec.structs import replace

from tests.browser import pages
from tests.browser.opened import THEMES, Opened, cut_texts, violations, wait_until


def test_every_rank_has_a_cell_with_its_bytes(opened: Opened) -> None:
    page = pages.spread()
    shown = pages.shown(opened, page, hash="#view=mesh")
    cells = shown.locator(".mesh-grid td[data-row]")
    assert page.trace.mesh is not None
    assert cells.count() == page.trace.mesh.size == 8
    assert shown.locator(".this-rank .rank-number").inner_text() == "● 5"
    assert re.fullmatch(r"[\d.]+ MiB", shown.locator(".this-rank .rank-bytes").inner_text())
    assert shown.locator(".peer .rank-number").all_inner_texts() == ["⇄ 4", "⇄ 6", "⇄ 7"]
    name = cells.nth(4).get_attribute("aria-label") or ""
    assert re.fullmatch(r"rank 4, dp 1, tp 0, [\d.]+ MiB of parameters, all_reduce along tp", name)


def test_keys_lead_from_rank_to_rank(opened: Opened) -> None:
    shown = pages.shown(opened, pages.spread())
    pages.press(shown, "9")
    assert shown.locator("[role=tab][aria-selected=true]").inner_text().endswith("Mesh")
    shown.locator(".this-rank").focus()
    pages.press(shown, "ArrowUp", "ArrowLeft")
    assert shown.locator(".mesh-part h3").first.inner_text() == "rank 0 dp 0, tp 0"
    pages.press(shown, "ArrowRight", "ArrowRight", "ArrowRight")
    assert shown.locator(".mesh-part h3").first.inner_text() == "rank 3 dp 0, tp 3"
    assert shown.locator(".mesh-grid td.chosen").get_attribute("aria-selected") == "true"


def test_a_simulation_knows_one_rank_and_turns_long_meshes_like_pages(opened: Opened) -> None:
    shown = pages.shown(opened, pages.simulated(), hash="#view=mesh")
    assert shown.locator(".mesh-grid tbody tr").count() == 32
    assert shown.locator(".rank-bytes").count() == 1
    shown.get_by_label("along fsdp").check()
    assert shown.locator(".peer").count() == 31  # of 127, one in each row that is shown
    shown.locator(".mesh-grid td").filter(has_text=re.compile(r"^16$")).click()
    assert "gptrace run --rank 16 shows this one" in shown.locator(".mesh-part").first.inner_text()
    shown.get_by_role("button", name="Later rows").click()
    assert shown.locator(".mesh-grid tbody th").first.inner_text() == "fsdp 32"
    assert "ms" not in shown.locator(".facts").all_inner_texts()


def test_a_dimension_of_a_million_ranks_is_broken_into_rows(opened: Opened) -> None:
    page = pages.spread()
    mesh = page.trace.mesh
    assert mesh is not None
    long = replace(mesh, dims={"dp": 1_000_001}, rank=1_000_000, coordinate={"dp": 1_000_000}, ranks=())
    shown = pages.shown(opened, replace(page, trace=replace(page.trace, mesh=long)), hash="#view=mesh")
    assert shown.locator(".mesh-grid tbody tr").count() == 1 + 62_500 % 32
    assert shown.locator(".mesh-grid tbody th").last.inner_text() == "1000000"
    assert shown.locator(".mesh-grid tbody tr").last.locator("td").all_inner_texts() == [
        shown.locator(".this-rank").inner_text()
    ]


def test_the_map_and_the_inspector_show_how_axes_are_split(opened: Opened) -> None:
    shown = pages.shown(opened, pages.spread())
    assert "Embedding ⇄ tp" in (shown.locator("svg.map").text_content() or "")
    pages.press(shown, "/")
    shown.keyboard.type("W_query")
    pages.press(shown, "Enter")
    details = shown.locator("aside.inspector")
    assert "this rank: [batch 1, seq_len 4, emb_dim/tp 12] tp: Shard(2)" in details.inner_text()
    assert "emb_dim/tp" in (shown.locator("svg.map").text_content() or "")
    pages.press(shown, "/")
    shown.keyboard.type("out_proj")
    pages.press(shown, "Enter")
    assert "all_reduce 768 B, tp" in details.inner_text()


def test_a_page_of_one_device_has_no_mesh(opened: Opened) -> None:
    shown = pages.shown(opened, pages.tiny(), hash="#view=mesh")
    assert shown.get_by_role("tab").count() == 8
    assert shown.locator("[role=tab][aria-selected=true]").inner_text().endswith("Map")


def test_the_mesh_fits_a_phone_and_a_screen_reader(opened: Opened) -> None:
    # In Chinese; the test of all models does the same in English.
    shown = pages.shown(opened, pages.spread(), hash="#view=mesh&language=zh")
    for theme, width in zip(THEMES, (1280, 360), strict=True):
        shown.set_viewport_size({"width": width, "height": 800})
        shown.emulate_media(color_scheme=theme)
        wait_until(shown, f"document.documentElement.dataset.theme === '{theme}'")
        assert cut_texts(shown) == []
        assert violations(shown) == []
