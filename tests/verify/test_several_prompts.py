"""The check `batch` where a model runs one prompt and not several, and the line in what cannot be judged."""

from __future__ import annotations

from pathlib import Path

import pytest

import gptrace
from gptrace.record import CheckResult
from tests.models.right_models import RIGHT_MODELS

COURSE = RIGHT_MODELS["course_gpt"].source
_HEADS = "queries = queries.view(b, num_tokens, self.num_heads, self.head_dim)"
_LENGTH = "        batch_size, seq_len = in_idx.shape\n"


def broken(folder: Path, right: str, wrong: str, text: str = COURSE) -> str:
    """Write the course's GPT with one text replaced; return a reference to it."""
    assert text.count(right) == 1
    file = folder / "mine.py"
    file.write_text(text.replace(right, wrong), encoding="utf-8")
    return f"{file}:GPTModel"


def result_of(model: str, name: str) -> CheckResult:
    config = model.replace(":GPTModel", ":GPT_CONFIG")
    (result,) = gptrace.check(model, config=config, only=[name]).checks
    return result


@pytest.mark.parametrize(
    ("right", "wrong", "guilty"),
    [
        (_HEADS, _HEADS.replace("(b,", "(1,"), "queries = queries.view(1, "),
        (_LENGTH, _LENGTH + "        in_idx = in_idx.squeeze(0)[None]\n", "in_idx = in_idx.squeeze(0)[None]"),
        (_LENGTH, _LENGTH + "        in_idx = in_idx[:1]\n", "in_idx = in_idx[:1]"),
        ("x = self.trf_blocks(x)", "x = self.trf_blocks(x.view(1, -1, 32))", "x = self.trf_blocks(x.view(1,"),
    ],
)
def test_a_line_for_a_single_prompt_is_named(right: str, wrong: str, guilty: str, tmp_path: Path) -> None:
    result = result_of(broken(tmp_path, right, wrong), "batch")
    assert result.holds is False
    assert result.source is not None
    assert result.source.text.startswith(guilty)
    assert result.likely
    assert result.instead


@pytest.mark.parametrize("positions", ["torch.arange(batch_size)", "torch.arange(batch_size).unsqueeze(0)"])
def test_positions_that_count_prompts_are_named(positions: str, tmp_path: Path) -> None:
    right = "torch.arange(seq_len, device=in_idx.device)"
    result = result_of(broken(tmp_path, right, positions), "batch")
    assert result.holds is False
    assert result.source is not None
    assert positions in result.source.text
    assert result.likely == "there are as many positions as prompts, in place of one for each token"
    assert result.instead == "count the tokens of the input: torch.arange(ids.shape[1])"


@pytest.mark.parametrize(
    "refusal",
    [
        "assert batch_size == 1",
        "assert (\n            batch_size == 1\n        )",
        "if batch_size > 1: raise ValueError('one prompt at a time')",
    ],
)
def test_a_model_that_refuses_several_prompts_is_not_judged(refusal: str, tmp_path: Path) -> None:
    model = broken(tmp_path, _LENGTH, _LENGTH + f"        {refusal}\n")
    result = result_of(model, "batch")
    assert result.holds is None
    assert result.source is not None
    assert "mine.py:" in result.reason
    assert result.source.text in result.reason


def test_a_model_that_refuses_several_prompts_is_given_one_at_a_time(tmp_path: Path) -> None:
    model = broken(tmp_path, _LENGTH, _LENGTH + "        assert batch_size == 1\n")
    assert result_of(model, "gradients").holds


def test_a_model_that_is_built_for_one_prompt_is_not_judged(tmp_path: Path) -> None:
    text = COURSE.replace("self.head_dim = d_out", "self.batch_size = 1\n        self.head_dim = d_out")
    result = result_of(broken(tmp_path, _HEADS, _HEADS.replace("(b,", "(self.batch_size,"), text), "batch")
    assert result.holds is None
    assert "batch_size is 1" in result.reason


def test_what_cannot_be_run_names_its_line(tmp_path: Path) -> None:
    condition = "        if seq_len > 4 and in_idx.unique().numel() == 1:\n"
    wrong = _LENGTH + condition + "            raise ValueError('the same token')\n"
    result = result_of(broken(tmp_path, _LENGTH, wrong), "positions-matter")
    assert result.holds is None
    assert "ValueError: the same token" in result.reason
    assert result.source is not None
    assert result.source.text == "raise ValueError('the same token')"


def test_dropout_in_a_plain_list_is_blamed_on_the_list(tmp_path: Path) -> None:
    in_list = "self.trf_blocks = [TransformerBlock(cfg) for _ in range(2)]"
    text = COURSE.replace("x = self.trf_blocks(x)", "for block in self.trf_blocks:\n            x = block(x)")
    right = 'self.trf_blocks = nn.Sequential(*[TransformerBlock(cfg) for _ in range(cfg["n_layers"])])'
    result = result_of(broken(tmp_path, right, in_list, text), "deterministic")
    assert result.holds is False
    assert result.source is not None
    assert result.source.text == in_list
    assert "eval()" in result.likely
    assert "ModuleList" in result.instead
