"""What of a cell may run: a definition may be worded in ways that do work at once."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

import gptrace
from gptrace.errors import ModelCodeError
from gptrace.model.notebooks import loading
from gptrace.model.notebooks.loading import NotebookLoader
from tests.models.cells import HARMFUL, HARMLESS, SETUP
from tests.models.notebooks import write_notebook


def _loaded(path: Path, *sources: str) -> tuple[ModuleType, NotebookLoader]:
    module = ModuleType("cells_of_a_notebook")
    loader = NotebookLoader(write_notebook(path, *sources), path.name)
    loader.exec_module(module)
    return module, loader


def test_no_cell_does_work_while_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    setup = f"MARK = {str(tmp_path / 'mark')!r}\n{SETUP}"
    at_work = []
    for cell in HARMFUL:
        _loaded(tmp_path / "harmful.ipynb", setup, cell)
        if (tmp_path / "mark").exists():
            at_work.append(cell)
            (tmp_path / "mark").unlink()
    assert at_work == []


def test_definitions_and_constants_are_kept(tmp_path: Path) -> None:
    missing = {}
    for cell in HARMLESS:
        module, loader = _loaded(tmp_path / "harmless.ipynb", SETUP, cell)
        if not hasattr(module, "f"):
            missing[cell] = {name: str(why) for name, why in loader.left_out.items()}
    assert missing == {}


@pytest.mark.parametrize(
    "work",
    [
        "def f():\n    n = 0\n    for i in range(100_000):\n        n += i\n    return n\nx = f()",
        "x = [i for i in range(100_000)]",
        "class C:\n    @property\n    def p(self): return max(i for i in range(100_000))\nc = C()\nx = c.p",
        "def f():\n    d = [1]\n    for i in d: d += [i + 1] if i < 100_000 else []\n    return d\nx = f()",
    ],
)
def test_a_statement_that_runs_too_many_lines_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    monkeypatch.setattr(loading, "LARGEST_WORK", 10_000)
    traced = sys.gettrace()
    module, loader = _loaded(tmp_path / "work.ipynb", work, "y = sum(i for i in range(1_000))")
    assert not hasattr(module, "x")
    assert str(loader.left_out["x"]).endswith("was left out: it runs more than 10,000 lines of code")
    assert module.y == 499_500
    assert sys.gettrace() is traced


def test_an_attribute_of_a_class_that_was_left_out_is_explained(tmp_path: Path) -> None:
    model = """import torch
class GPT(torch.nn.Module):
    table = load_table()

    def forward(self, ids):
        return self.table[ids]
"""
    path = write_notebook(tmp_path / "table.ipynb", model)
    with pytest.raises(ModelCodeError) as caught:
        gptrace.trace("Hi", model=f"{path}:GPT")
    trace = caught.value.trace
    assert isinstance(trace, gptrace.Trace)
    assert trace.error is not None
    assert "there is no GPT.table, since cell 1, line 3 (table = load_table()) was left out: it calls" in (
        trace.error.diagnosis or ""
    )
