"""The progress bar."""

from __future__ import annotations

from io import StringIO

import pytest


def test_a_bar_moves_only_for_work_that_takes_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    from gptrace.report import progress

    quick, slow = StringIO(), StringIO()
    assert list(progress.with_progress(iter(range(5)), quick, "prompts")) == list(range(5))
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    assert list(progress.with_progress(iter(range(5)), slow, "prompts")) == list(range(5))
    assert quick.getvalue() == ""
    assert "prompts" in slow.getvalue()
    assert "5/?" in slow.getvalue()
