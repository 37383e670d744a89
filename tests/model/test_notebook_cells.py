"""What of a cell may run: a definition may be worded in ways that do work at once."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

import gptrace
from gptrace.errors import ModelCodeError
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
