"""Models that cannot be checked: the error says what `gptrace run` says, and a block is called a block."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import gptrace
from gptrace.errors import ConfigError, ModelCodeError, NoLogitsError
from gptrace.model.quiet_torch import torch
from tests.models.right_models import RIGHT_MODELS
from tests.support import Cli

nn = torch.nn
COURSE = RIGHT_MODELS["course_gpt"].source


def written(folder: Path, right: str = "", wrong: str = "") -> Path:
    """Write the course's GPT with one text replaced."""
    assert not right or COURSE.count(right) == 1
    file = folder / "mine.py"
    file.write_text(COURSE.replace(right, wrong) if right else COURSE, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("right", "wrong", "hint"),
    [
        ("keys = self.W_key(x)", "keys = self.W_kye(x)", "did you mean W_key?"),
        ("keys.transpose(2, 3)", "keys", "for queries @ keys, transpose the keys"),
        (".contiguous().view(b, num_tokens, self.d_out)", ".reshape(b, num_tokens, 7)", "has 64 elements"),
    ],
)  # fmt: skip
def test_the_error_has_the_diagnosis_of_a_trace(right: str, wrong: str, hint: str, tmp_path: Path) -> None:
    file = written(tmp_path, right, wrong)
    model, config = f"{file}:GPTModel", f"{file}:GPT_CONFIG"
    with pytest.raises(ModelCodeError) as of_check:
        gptrace.check(model, config=config, only=["causal"])
    with pytest.raises(ModelCodeError) as of_run:
        gptrace.trace("Hello", model=model, config=config)
    assert ", line " in of_run.value.message
    assert hint in of_check.value.hint
    line = re.compile(r", at .*")
    assert line.findall(of_check.value.message) == line.findall(of_run.value.message)
    # A misspelt name is wrong whatever the model was called with.
    called = re.search(r" was called with \w+ \[1, \d+(, 32)?\] (float32|int64)$", of_check.value.hint)
    assert (called is None) == (hint == "did you mean W_key?")


@pytest.mark.parametrize("heads", ["queries", "keys", "values"])
def test_the_line_whose_transpose_is_missing_is_named_and_not_the_product_that_raises(
    heads: str, tmp_path: Path, cli: Cli
) -> None:
    """As many tokens as heads would run."""
    file = written(tmp_path, f"        {heads} = {heads}.transpose(1, 2)\n", "")
    split = f"{heads} = {heads}.view(b, num_tokens, self.num_heads, self.head_dim)"
    number = file.read_text().partition(split)[0].count("\n") + 1
    with pytest.raises(ModelCodeError) as caught:
        gptrace.check(f"{file}:GPTModel", config=f"{file}:GPT_CONFIG")
    assert caught.value.hint.startswith(f"{split}, at {file}:{number}, lacks a transpose(1, 2); two tensors")
    options = ("-m", f"{file}:GPTModel", "--config", f"{file}:GPT_CONFIG", "--lang", "zh")
    assert "漏了 transpose(1, 2)；两个张量无法广播" in cli("check", *options).err


def test_a_block_is_called_a_block_and_the_hint_works(tmp_path: Path, cli: Cli) -> None:
    file = written(tmp_path)
    options = ("--config", f"{file}:GPT_CONFIG")
    for command in (("run", "Hello"), ("topk", "Hello"), ("check",)):
        outcome = cli(*command, "-m", f"{file}:TransformerBlock", *options)
        shows = "likely: TransformerBlock is a block" if command[0] == "run" else None
        problem = "TransformerBlock is a block, not a model: it takes vectors [batch, seq_len, 32]"
        outcome.is_error(2, problem, f"-m {file}:GPTModel", shows=shows)
    assert cli("check", "-m", f"{file}:GPTModel", *options, "--only", "finite").code == 0


def test_a_block_without_a_file_is_called_a_block() -> None:
    with pytest.raises(ConfigError, match="Sequential is a block") as caught:
        gptrace.check(nn.Sequential(nn.Linear(6, 6), nn.GELU()))
    assert "give the whole model" in caught.value.hint


def test_a_model_that_gives_no_logits_has_a_command_to_type(tmp_path: Path) -> None:
    file = written(tmp_path, "return logits", "return logits.mean()")
    with pytest.raises(NoLogitsError) as caught:
        gptrace.check(f"{file}:GPTModel", config=f"{file}:GPT_CONFIG")
    assert caught.value.hint.startswith(f"gptrace run -m {file}:GPTModel --config")


def test_a_model_without_sizes_yet_is_told_what_its_code_raised(tmp_path: Path) -> None:
    """Its widths are unknown until it has run, so it is not asked whether it is a block."""
    file = tmp_path / "lazy.py"
    file.write_text(
        "import torch\n"
        "class Lazy(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.embedding, self.head = torch.nn.Embedding(9, 8), torch.nn.LazyLinear(9)\n"
        "    def forward(self, ids):\n"
        "        return self.head(self.embedding(ids))\n"
    )
    with pytest.raises(ModelCodeError, match="index out of range"):
        gptrace.topk(ids=[[99]], model=f"{file}:Lazy")
    result = {check.name: check.holds for check in gptrace.check(f"{file}:Lazy").checks}
    assert result["vocabulary"]
