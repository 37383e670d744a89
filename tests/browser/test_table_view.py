"""The table of calls: filtered, sorted, copied."""

from __future__ import annotations

import csv
import io

from tests.browser import pages
from tests.browser.opened import Opened


def test_the_table_has_every_call_and_every_operation(opened: Opened) -> None:
    page = pages.tiny()
    shown = pages.shown(opened, page, hash="#view=table")
    assert shown.locator(".calls tbody tr").count() == len(page.trace.calls)
    shown.get_by_label("with operations").check()
    operations = sum(len(call.ops) for call in page.trace.calls)
    assert shown.locator(".calls tbody tr").count() == len(page.trace.calls) + operations


def test_rows_are_filtered_sorted_and_copied(opened: Opened) -> None:
    page = pages.tiny()
    shown = pages.shown(opened, page, hash="#view=table", permissions=["clipboard-read", "clipboard-write"])
    pages.press(shown, "/")
    shown.keyboard.type("linear att")
    wanted = [call for call in page.trace.calls if call.type == "Linear" and ".att." in call.path]
    assert shown.locator(".calls tbody tr").count() == len(wanted)
    shown.get_by_role("button", name="Parameters").click()
    shown.get_by_role("button", name="Parameters").click()
    assert shown.locator("th[aria-sort=descending]").inner_text().startswith("Parameters")
    shown.get_by_role("button", name="Copy as CSV").click()
    shown.get_by_text(f"{len(wanted)} rows copied").wait_for()
    rows = list(csv.DictReader(io.StringIO(shown.evaluate("navigator.clipboard.readText()"))))
    counts = sorted((call.parameters.total for call in wanted), reverse=True)
    assert [int(row["params"]) for row in rows] == counts
    assert {row["path"] for row in rows} == {call.path for call in wanted}
    shown.get_by_role("button", name="Copy as Markdown").click()
    assert (
        shown.evaluate("navigator.clipboard.readText()").splitlines()[0].startswith("| \\# | Module | Type |")
    )


def test_a_call_is_shown_on_the_map(opened: Opened) -> None:
    shown = pages.shown(opened, pages.tiny(), hash="#view=table")
    shown.get_by_role("button", name="W_query").nth(1).click()
    assert shown.inner_text("aside h2") == "trf_blocks.1.att.W_query"
