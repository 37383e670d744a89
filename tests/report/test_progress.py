"""The progress bar."""

from __future__ import annotations

from io import StringIO

import pytest

from gptrace.report import progress
from gptrace.report.progress import ProgressBar


def test_a_bar_moves_only_for_work_that_takes_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    quick, slow = StringIO(), StringIO()
    assert list(ProgressBar(quick, "prompts").around(range(5), counts=True)) == list(range(5))
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    assert list(ProgressBar(slow, "prompts").around(range(5), counts=True)) == list(range(5))
    assert quick.getvalue() == ""
    assert "prompts" in slow.getvalue()
    assert "5/?" in slow.getvalue()


def test_a_bar_that_was_removed_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    shown = StringIO()
    bar = ProgressBar(shown, "windows")
    with bar:
        bar.show(1, 7)
    for _ in bar.around("a", counts=False):
        bar.show(2, 7)
    assert "1/7" in shown.getvalue()
    assert "2/7" in shown.getvalue()


def test_a_bar_without_a_stream_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    assert list(ProgressBar(None, "prompts").around("ab", counts=True)) == ["a", "b"]
