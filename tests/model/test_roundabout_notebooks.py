"""Notebooks that would do work in a roundabout way, by decorators, names and methods."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

import gptrace
from gptrace.model.notebooks.loading import NotebookLoader
from tests.models.notebooks import write_notebook

MODEL = """import torch

class GPT(torch.nn.Module):
    def __init__(self, vocab_size=50257, emb_dim=8):
        super().__init__()
        self.emb = torch.nn.Embedding(vocab_size, emb_dim)
        self.head = torch.nn.Linear(emb_dim, vocab_size)

    def forward(self, ids):
        return self.head(self.emb(ids))
"""
RUN = "open('ran.txt', 'w').write('x')"
FUNCTION = f"def f(x=1):\n    {RUN}\n    return x\n"
HARMFUL = {
    "a decorator of Python that calls": f"import timeit\n@timeit.timeit\n{FUNCTION}",
    "a decorator with arguments": (
        f"import functools, timeit\n@functools.partial(timeit.timeit, number=1)\n{FUNCTION}"
    ),
    "a decorator of torch that calls": f"import torch.fx\n@torch.fx.symbolic_trace\n{FUNCTION}",
    "a hook of Python": f"import sys\n@sys.settrace\ndef f(*a):\n    {RUN}",
    "a decorator of an unknown library": f"from widgets_like import interact\n@interact(x=0)\n{FUNCTION}",
    "a name that is not Python's": f"def print(*a):\n    {RUN}\ndef f():\n    print(1)\nx = f()",
    "a name of a star import": "from widgets_like import *\ndef f():\n    print(1)\nx = f()",
    "a method called as those of a dict": (
        f"class T:\n    def update(self):\n        {RUN}\nt = T()\ndef f():\n    t.update()\nx = f()"
    ),
}
WIDGETS = f"""
class Factory:
    def __call__(self, function=None, **options):
        return self if function is None else function(1)

interact = Factory()

def print(*values):
    {RUN}
"""


@pytest.mark.parametrize("source", HARMFUL.values(), ids=HARMFUL)
def test_nothing_is_run_in_a_roundabout_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "widgets_like", raising=False)
    (tmp_path / "widgets_like.py").write_text(WIDGETS)
    path = write_notebook(tmp_path / "roundabout.ipynb", source, MODEL)
    assert gptrace.trace("Hello", model=f"{path}:GPT").calls
    assert not (tmp_path / "ran.txt").exists()


HARMLESS = """
import functools
import contextlib
import torch
from widgets_like import interact

class Cache:
    def update(self, key):
        self.keys = torch.cat([self.keys, key])

@functools.lru_cache
def size():
    return 8

@interact
def number(x):
    return x

@torch.no_grad()
def train():
    open("ran.txt", "w")

def config(**more):
    made = dict(width=size)
    made.update(more)
    return made

CONFIG = config(depth=2)
"""


def test_decorators_that_keep_their_function_are_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "widgets_like", raising=False)
    (tmp_path / "widgets_like.py").write_text(WIDGETS)
    path = write_notebook(tmp_path / "harmless.ipynb", HARMLESS)
    loader = NotebookLoader(path, path.name)
    module = ModuleType("harmless")
    loader.exec_module(module)
    assert loader.left_out == {}
    assert module.CONFIG["depth"] == 2
