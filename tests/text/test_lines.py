"""Prompts read line by line."""

from __future__ import annotations

from pathlib import Path

from gptrace.text.lines import LINE_LIMIT, PromptLines


def test_a_line_without_end_is_skipped_without_being_kept(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_bytes(b"a\n" + b"x" * (LINE_LIMIT + 70_000) + b"\nb\n" + b"y" * (LINE_LIMIT + 1))
    with path.open("rb") as file:
        found = list(PromptLines(stdin=file.fileno()))
    assert [line.text for line in found] == ["a", None, "b", None]
    assert all(
        line.problem is not None and "longer than 16 MiB" in line.problem.message for line in found[1::2]
    )
