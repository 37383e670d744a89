"""Prompts read line by line."""

from __future__ import annotations

from pathlib import Path

import pytest

import gptrace
from gptrace.record import TopKResult
from gptrace.text import lines
from gptrace.text.lines import PromptLines


def test_a_line_without_end_is_skipped_without_being_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 1 << 20
    monkeypatch.setattr(lines, "LINE_LIMIT", limit)
    path = tmp_path / "long.txt"
    path.write_bytes(b"a\n" + b"x" * (limit + 70_000) + b"\nb\n" + b"y" * (limit + 1))
    with path.open("rb") as file:
        prompts = list(PromptLines(stdin=file.fileno()))
    assert [line.text for line in prompts] == ["a", None, "b", None]
    for line in prompts[1::2]:
        assert line.problem is not None
        assert "longer than 1 MiB" in line.problem.message


@pytest.mark.parametrize("key", sorted(TopKResult.own_keys() - {"text", "ids"}))
def test_no_key_of_a_result_can_come_with_a_prompt(key: str) -> None:
    (result,) = gptrace.topk_stream([{"text": "Hello", key: 5}], model="tiny").results
    assert result.problem is not None
    assert f"the key '{key}', which is reserved for results" in result.problem.message
