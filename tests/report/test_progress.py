"""The progress bar."""

from __future__ import annotations

import pty
import re
import termios
from contextlib import suppress
from io import StringIO

import pytest
from rich.cells import cell_len

from gptrace.cli import streams
from gptrace.cli.prompt_lines import progress_bar
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


@pytest.mark.parametrize("columns", [20, 40, 120])
def test_a_bar_is_as_wide_as_the_terminal_that_it_is_shown_on(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not that of descriptors 0 to 2, none of which may lead to a terminal."""
    monkeypatch.setattr(progress, "_PATIENCE", -1.0)
    monkeypatch.delenv("COLUMNS", raising=False)
    reading, writing = pty.openpty()
    termios.tcsetwinsize(writing, (24, columns))
    with open(writing, "w") as terminal:
        monkeypatch.setattr(streams, "stderr", lambda: terminal)
        monkeypatch.setattr(streams, "can_show_progress", lambda *, is_stream: True)
        with progress_bar("prompts", is_stream=True) as bar:
            bar.show(1000, 2000)
    shown = b""
    with suppress(OSError), open(reading, "rb", buffering=0) as screen:  # it raises at the end
        while part := screen.read(1 << 16):
            shown += part
    lines = [re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", line) for line in re.split("[\r\n]+", shown.decode())]
    assert any("1000/2000" in line for line in lines)
    assert max(map(cell_len, lines)) <= columns
