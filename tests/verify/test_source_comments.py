"""Shape comments of `gptrace source`: put in, refreshed, and none where they do not belong."""

from __future__ import annotations

import ast
import io
import linecache
from pathlib import Path
from typing import Any

import llms_from_scratch.ch04
import llms_from_scratch.kv_cache.gpt2
import llms_from_scratch.llama3
import llms_from_scratch.qwen3
import pytest

import gptrace
from gptrace.errors import GptraceError
from gptrace.model.quiet_torch import torch
from gptrace.verify.source.comments import MARK, with_comments, without_comments
from gptrace.verify.source.writing import ChangedFileError, commented_files
from tests.verify.source_styles import COURSE, IDS, STYLES, line_with, source_of

nn = torch.nn


def test_comments_are_written_once_and_refreshed(styles: Path) -> None:
    before = styles.read_text(encoding="utf-8")
    file = commented_files(source_of(styles))[0]
    assert not file.refused
    assert f"return self.out_head(x)  # scores  {MARK}[batch, seq_len, vocab_size] [1, 4, 101]" in file.diff
    changed = file.after.decode()
    assert ast.dump(ast.parse(changed)) == ast.dump(ast.parse(before))
    lines = changed.splitlines(keepends=True)
    assert "".join(without_comments(lines)) == before
    again = styles.with_name("again.py")
    again.write_bytes(file.after)
    repeated = commented_files(source_of(again))[0]
    assert repeated.before == repeated.after
    assert repeated.comments == file.comments
    shorter = gptrace.source(ids=[IDS[:3]], model=f"{again}:GPT")
    refreshed = commented_files(shorter)[0].after.decode()
    assert "[1, 3, 101]" in refreshed
    assert "[1, 4, 101]" not in refreshed
    assert refreshed.count(MARK) == changed.count(MARK)


def test_a_file_that_changed_meanwhile_is_left_alone(styles: Path) -> None:
    source = source_of(styles)
    styles.write_text(STYLES.replace("x = self.tok_emb(ids)", "x = self.tok_emb(ids) * 2"), encoding="utf-8")
    with pytest.raises(ChangedFileError) as caught:
        commented_files(source)
    assert "-        x = self.tok_emb(ids)\n+        x = self.tok_emb(ids) * 2\n" in caught.value.diff


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1\n", f"a = 1  {MARK}[4]\n"),
        ("a = 1  # mine\r\n", f"a = 1  # mine  {MARK}[4]\r\n"),
        (f"a = 1  {MARK}x [batch] [2], ... 3 more", f"a = 1  {MARK}[4]"),
        (f"a = 1 {MARK}[2]\n", f"a = 1  {MARK}[4]\n"),
        ("a = 1   \n", f"a = 1     {MARK}[4]\n"),
        (f"a = 1  {MARK}to do\n", f"a = 1  {MARK}to do  {MARK}[4]\n"),
        (f"a = 1  # mine  {MARK}[2]\n", f"a = 1  # mine  {MARK}[4]\n"),
        (f"a = '  {MARK}'\n", f"a = '  {MARK}'  {MARK}[4]\n"),
        (f"a = '{MARK}'  # b\n", f"a = '{MARK}'  # b  {MARK}[4]\n"),
        ("a = 1  # ends with \\\n", f"a = 1  # ends with \\  {MARK}[4]\n"),
        ("a = 1 + \\\n    2\n", "a = 1 + \\\n    2\n"),
        (f'a = """\n{MARK}"""\n', f'a = """\n{MARK}"""\n'),
        ("a = (  \n    1)\n", f"a = (    {MARK}[4]\n    1)\n"),
        ("a = (\n    1)\n", f"a = (  {MARK}[4]\n    1)\n"),
    ],
)
def test_a_comment_changes_nothing_else(text: str, expected: str) -> None:
    lines = list(io.StringIO(text, newline=""))
    changed = "".join(with_comments(lines, {1: "[4]"})[0])
    assert changed == expected
    assert ast.dump(ast.parse(changed)) == ast.dump(ast.parse(text))
    again = changed.splitlines(keepends=True)
    assert with_comments(again, {1: "[4]"}).lines == again
    alone = f"    {MARK}by somebody else\n"
    assert without_comments([alone]) == [alone]


def test_the_code_of_packages_is_left_alone() -> None:
    source = gptrace.source(ids=[IDS], model=llms_from_scratch.ch04.GPTModel(COURSE).eval())
    with pytest.raises(GptraceError, match="installed package"):
        commented_files(source)
    with pytest.raises(GptraceError, match="installed package"):
        commented_files(gptrace.source("Hello", model="tiny"))


def test_code_that_is_in_no_file_is_named_as_python_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "<cell 4>"
    lines = STYLES.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, name, (len(STYLES), None, lines, name))
    cell: dict[str, Any] = {"__name__": "cells"}
    exec(compile(STYLES, name, "exec"), cell)
    source = gptrace.source(ids=[IDS], model=cell["GPT"]().eval())
    assert [file.file for file in source.files] == [name]
    assert line_with(source, "x = self.tok_emb(ids)").made[0].shape == (1, 4, 12)
    with pytest.raises(GptraceError, match="no such file"):
        commented_files(source)
