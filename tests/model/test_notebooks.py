"""Notebooks as models: what of their cells runs, how lines are named, and what a damaged file does."""

from __future__ import annotations

import inspect
import json
import traceback
from pathlib import Path

import pytest

import gptrace
from gptrace.errors import ConfigError, ModelCodeError
from tests.models.notebooks import CHAPTER, notebook, write_chapter, write_notebook

SMALL = {"emb_dim": 32, "n_heads": 2, "n_layers": 1, "context_length": 16, "vocab_size": 50257,
         "drop_rate": 0.1, "qkv_bias": False}  # fmt: skip
MODEL = """import torch

class GPT(torch.nn.Module):
    def __init__(self, vocab_size=50257, emb_dim=8):
        super().__init__()
        self.emb = torch.nn.Embedding(vocab_size, emb_dim)
        self.head = torch.nn.Linear(emb_dim, vocab_size)

    def forward(self, ids):
        return self.head(self.emb(ids) * scale)
"""


def test_only_definitions_and_constants_run(tmp_path: Path) -> None:
    path = write_notebook(
        tmp_path / "runs.ipynb",
        "# Title",
        "%matplotlib inline\n!pip install torch\nimport absent_library\nfrom dataclasses import dataclass",
        'base = {"n": 1}\nchanged = base.copy()\nchanged.update({"n": 2})\nchanged["m"] = max(3, 2)\n'
        "import math as m\nroot = m.sqrt(16)",
        "@dataclass\nclass Config:\n    n: int = 4\n\nconfig = Config(n=7)\nlabel = f'{config.n}'.zfill(3)",
        "log = open('log.txt', 'w')\nfor i in range(10**12):\n    pass\nwhile True:\n    pass",
        "try:\n    import absent_library as library\nexcept ImportError:\n    library = None",
        "if len(base) > 5:\n    raise ValueError\nelse:\n    size = 'small'\nlog.write('x')",
        "%%bash\nrm -rf everything",
        "%%time\nlate = [i * 2 for i in range(3)]",
        MODEL.replace("* scale", "* 2"),
    )
    model = gptrace.Session(f"{path}:GPT").model
    names = vars(inspect.getmodule(type(model)))
    assert names["changed"] == {"n": 2, "m": 3}
    assert names["root"] == 4
    assert (names["config"].n, names["label"]) == (7, "007")
    assert (names["library"], names["size"], names["late"]) == (None, "small", [0, 2, 4])
    assert "log" not in names
    assert not (tmp_path / "log.txt").exists()


@pytest.mark.parametrize(
    ("cells", "reason", "hint"),
    [
        (["m = GPT(sizes)"], "cell 3, line 1 (m = GPT(sizes)) was left out: it calls GPT", ":GPT --config"),
        (["for i in range(3):\n    m = i"], "line 1 (for i in range(3):) was left out: it is a loop", "run"),
        (["with x as m:\n    pass"], "was left out: it is a with block", "run"),
        (["m = load()", "def g(a=m): pass"], "it calls load", "run"),
        (["import m"], "it raised ModuleNotFoundError: No module named 'm'", "run"),
        (
            ["\n\nm = GPT.absent"],
            "cell 3, line 3 (m = GPT.absent) was left out: it raised AttributeError",
            "",
        ),
        (["%%writefile m.py\nm = 1"], "it is in a cell that begins with %%writefile", "run"),
        (["m = 1\nx = ("], "it is no Python code: '(' was never closed", "run"),
        ([">>> m = 1\n>>> print(m\n1"], "it is no Python code: '(' was never closed", "run"),
        (["n = f()", "def m(a=n): pass"], "it needs n, and cell 3, line 1 (n = f()) was left out", "run"),
    ],
)
def test_a_name_that_was_left_out_is_named_with_its_cell_and_the_reason(
    tmp_path: Path, cells: list[str], reason: str, hint: str
) -> None:
    path = write_notebook(tmp_path / "left.ipynb", MODEL, "sizes = {'emb_dim': 8}", *cells)
    with pytest.raises(ConfigError) as caught:
        gptrace.trace("Hi", model=f"{path}:m")
    assert f"{path}:m: there is no m, since cell " in caught.value.message
    assert reason in caught.value.message
    assert hint in caught.value.hint


def test_a_name_that_is_missing_while_the_model_runs_is_explained(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "scale.ipynb", "scale = find_scale()", MODEL)
    with pytest.raises(ModelCodeError) as caught:
        gptrace.trace("Hi", model=f"{path}:GPT")
    trace = caught.value.trace
    assert isinstance(trace, gptrace.Trace)
    assert trace.error is not None
    assert trace.error.source.endswith(
        "scale.ipynb, cell 2, line 10, in forward: return self.head(self.emb(ids) * scale)"
    )
    assert "cell 1, line 1 (scale = find_scale()) was left out: it calls find_scale" in (
        trace.error.diagnosis or ""
    )


def test_lines_and_sources_are_those_of_the_cell(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "lines.ipynb", "# Model", "%pip list", MODEL.replace("* scale", "/ 0"))
    trace = gptrace.trace("Hi", model=f"{path}:GPT", measure=["ops"])
    division = next(op for op in trace.calls[0].ops if op.name == "div")
    assert (division.source, division.cell) == (f"{path}:10", 3)
    model = gptrace.Session(f"{path}:GPT").model
    assert inspect.getsource(type(model)) == MODEL.partition("\n\n")[2].replace("* scale", "/ 0")
    assert inspect.getsource(model.forward).strip().startswith("def forward(self, ids):")
    with pytest.raises(TypeError) as caught:
        model(None)
    lines = traceback.format_exception(caught.value)
    assert any(f'File "{path}, cell 3", line 10, in forward\n    return self.head' in line for line in lines)


def test_check_judges_a_notebook_and_names_the_cell(tmp_path: Path) -> None:
    right = gptrace.check(f"{CHAPTER}:GPTModel", config=SMALL)
    assert {result.name: result.holds for result in right.checks if result.holds is False} == {}
    path = write_chapter(tmp_path / "leaky.ipynb", "scores.masked_fill_(", "scores.masked_fill(")
    wrong = gptrace.check(f"{path}:GPTModel", config=SMALL, only=["causal"])
    source = wrong.checks[0].source
    assert source is not None
    assert (source.file, source.cell, source.line) == (str(path), 5, 22)
    assert source.text == "scores.masked_fill(self.mask.bool()[:t, :t], -torch.inf)"
    assert f"{path}, cell 5, line 22 (MultiHeadAttention.forward)" in str(wrong)
    assert "leaky.ipynb, cell 5, line 22: scores.masked_fill" in repr(wrong)


def test_the_line_that_defines_a_module_is_counted_in_its_cell(tmp_path: Path) -> None:
    hidden = MODEL.replace("* scale", "").replace(
        "        self.emb", "        self.blocks = [torch.nn.Linear(2, 2)]\n        self.emb"
    )
    path = write_notebook(tmp_path / "hidden.ipynb", "# Model", "import math\nroot = 2\n", hidden)
    result = gptrace.check(f"{path}:GPT", only=["all-used"]).checks[0]
    assert result.source is not None
    assert (result.source.file, result.source.cell, result.source.line) == (str(path), 3, 6)
    assert result.source.text == "self.blocks = [torch.nn.Linear(2, 2)]"


def test_a_configuration_in_a_notebook(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "sizes.ipynb", MODEL.replace("* scale", ""), "sizes = dict(emb_dim=6)")
    trace = gptrace.trace("Hi", model=f"{path}:GPT", config=f"{path}:sizes")
    assert trace.dims["emb_dim"] == 6


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is not JSON"),
        ("# not JSON", "is not JSON"),
        ("[" * 100_000, "is damaged: Expected `object`, got `array`"),
        ('{"cells": ' + "[" * 5_000 + "]" * 5_000 + "}", "is damaged: Expected `object`, got `array`"),
        ('{"x": ' + "[" * 50_000 + "]" * 50_000 + "}", "is not JSON"),
        ("[]", "is damaged: Expected `object`, got `array`"),
        ('{"cells": [5]}', "is damaged: Expected `object`, got `int` - at `$.cells[0]`"),
        ('{"cells": [{"cell_type": "code", "source": [1]}]}', "is damaged: Expected `str`, got `int`"),
        ('{"cells": []}', "has no cells of Python code"),
        (json.dumps(notebook("x = '\ud800'")), "is not JSON"),
        ("{}", "is JSON, but no notebook: it has no cells"),
        ('{"nbformat": 3, "worksheets": []}', "has the old nbformat 3"),
        (json.dumps(notebook("1", metadata={"kernelspec": {"language": "R"}})), "of the language 'R'"),
        (json.dumps(notebook("x = 1\n" * 500_000)), "is larger than 2.0 MiB"),
    ],
)
def test_a_file_that_is_no_notebook_is_one_error(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "odd.ipynb"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        gptrace.trace("Hi", model=f"{path}:GPT")
    assert problem in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.ipynb"
    with path.open("wb") as file:
        file.truncate(1 << 30)  # a file with holes takes no room on the disk
    with pytest.raises(ConfigError, match=r"is larger than 256\.0 MiB"):
        gptrace.trace("Hi", model=f"{path}:GPT")


@pytest.mark.parametrize(
    "source", ["x = '\x00'", "-" * 50_000 + "1", "f(" * 500, "'''", "\x0c\u2028%", "%%", "?"]
)
def test_a_hostile_cell_does_no_harm_to_others(tmp_path: Path, source: str) -> None:
    path = tmp_path / "hostile.ipynb"
    path.write_text(json.dumps(notebook(source, MODEL.replace("* scale", ""))), encoding="utf-8")
    assert gptrace.trace("Hi", model=f"{path}:GPT").error is None


def test_outputs_are_not_read(tmp_path: Path) -> None:
    content = notebook(MODEL.replace("* scale", ""))
    content["cells"][0]["outputs"] = [{"data": float("nan"), "text": [[[1]]]}]
    path = tmp_path / "outputs.ipynb"
    path.write_text(json.dumps(content), encoding="utf-8")
    assert gptrace.trace("Hi", model=f"{path}:GPT").error is None


def test_a_reference_without_an_object_lists_the_definitions(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "names.ipynb", "%load x", MODEL)
    with pytest.raises(ConfigError) as caught:
        gptrace.Session(str(path))
    assert caught.value.hint == "it defines names.ipynb:GPT"
