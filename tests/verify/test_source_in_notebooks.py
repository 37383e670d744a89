"""`gptrace source` of a model in a notebook file: its cells, as they ran, with the lines that are wrong."""

from __future__ import annotations

from pathlib import Path

import gptrace
from gptrace.record import CodeLine, Source
from tests.models.notebooks import write_notebook

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
LEAKY = (EXAMPLES / "leaky.py").read_text(encoding="utf-8")


def source_of(path: Path, *, check: bool = False) -> Source:
    return gptrace.source("Hello", model=f"{path}:GPT", check=check)


def lines_of(source: Source) -> dict[int, CodeLine]:
    (file,) = source.files
    assert file.file.endswith("ch.ipynb, cell 1")
    return {line.line: line for line in file.lines}


def test_a_cell_that_imports_and_defines_is_shown(tmp_path: Path) -> None:
    """Python compiles calls of a module otherwise where the same text imports it."""
    lines = lines_of(source_of(write_notebook(tmp_path / "ch.ipynb", LEAKY)))
    assert lines[37].made[0].dims == ("batch", "seq_len", "emb_dim")


def test_lines_that_are_wrong_are_marked_in_their_cell(tmp_path: Path) -> None:
    source = source_of(write_notebook(tmp_path / "ch.ipynb", LEAKY, "x = 1\n" * 30), check=True)
    assert lines_of(source)[21].checks == ("causal", "padding")
