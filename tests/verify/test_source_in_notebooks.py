"""`gptrace source` of a model in a notebook file: its cells, as they ran, with the lines that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

import gptrace
from gptrace.errors import OptionError
from gptrace.record import CodeLine, Source
from gptrace.verify.source.writing import commented_files
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


INNER = """from torch import nn

class Inner(nn.Module):
    def forward(self, x):
        return x + 1
"""
OUTER = """class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.inner, self.head = nn.Embedding(50257, 8), Inner(), nn.Linear(8, 50257)

    def forward(self, ids):
        return self.head(self.inner(self.emb(ids)))
"""


def test_cells_stand_in_the_order_of_the_notebook_not_of_the_run(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "ch.ipynb", "# Parts", *["x = 1"] * 8, INNER, OUTER)
    source = source_of(path)
    assert [file.file.rpartition(", ")[2] for file in source.files] == ["cell 10", "cell 11"]


def test_a_notebook_takes_no_comments_and_is_named(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "ch.ipynb", INNER, OUTER)
    with pytest.raises(OptionError, match=r"no file takes comments: [^ ]*ch\.ipynb: code of a notebook"):
        commented_files(source_of(path))


def test_lines_that_are_wrong_are_marked_in_their_cell(tmp_path: Path) -> None:
    source = source_of(write_notebook(tmp_path / "ch.ipynb", LEAKY, "x = 1\n" * 30), check=True)
    assert lines_of(source)[21].checks == ("causal", "padding")
