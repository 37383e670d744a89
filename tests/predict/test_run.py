"""`gptrace run`: what it predicts, and what it refuses to predict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import gptrace
from gptrace.errors import NoLogitsError
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from tests.models.toys import Function
from tests.support import Cli

nn = torch.nn

SPOILED = """
import torch
class Spoiled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.e, self.h = torch.nn.Embedding(50257, 8), torch.nn.Linear(8, 50257)
    def forward(self, x):
        logits = self.h(self.e(x))
        return logits + torch.where(x == 314, float("nan"), 0.0)[..., None]
"""


def test_a_row_of_nan_has_no_next_token_and_the_other_prompts_have_theirs(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "spoiled.py"
    path.write_text(SPOILED)
    outcome = cli("run", "--ids", "314", "--ids", "15496", "-m", f"{path}:Spoiled", "--json")
    trace = json.loads(outcome.out)
    assert outcome.code == 1
    assert "1 of 2 prompts have no next token" in outcome.err
    assert [len(prediction["candidates"]) for prediction in trace["predictions"]] == [0, 5]
    assert any("no next token after prompt 0" in note for note in trace["notes"])
    outcome = cli("run", "--ids", "314", "-m", f"{path}:Spoiled")
    assert outcome.code == 1
    assert "Rank" not in outcome.out
    assert "nan %" not in outcome.out


def test_a_trace_in_python_of_nan_weights_is_there_and_says_so(tiny: GPTModel) -> None:
    with torch.no_grad():
        tiny.out_head.weight[7] = torch.nan
    trace = gptrace.trace("Hello", model=tiny)
    assert trace.predictions[0].candidates == ()
    assert "no next token after prompt 0: the greatest logit is NaN or infinite" in str(trace)
    assert gptrace.record.reading.parse(trace.to_json()) == trace


def test_classes_are_not_called_logits_of_the_next_token() -> None:
    classifier = nn.Sequential(nn.Embedding(50257, 8), nn.Linear(8, 2))
    trace = gptrace.trace("Hello, I am", model=classifier)
    assert trace.predictions == ()
    assert "the output has 2 scores for each position" in str(trace)
    for ask in (gptrace.topk, gptrace.loss):
        with pytest.raises(NoLogitsError, match="id 15496 is in the vocabulary"):
            ask("Hello, I am", model=classifier)
    # Ids that could be those of the classes prove nothing, so no vocabulary is spoken of.
    assert "one for each token" not in str(gptrace.trace(ids=[0, 1], model=classifier))
    assert "one for each token" in str(gptrace.trace("Hello, I am", model="tiny"))
    one = Function(lambda ids: torch.ones(*ids.shape, 1))
    assert "has 1 score for each position" in str(gptrace.trace(ids=[5], model=one))
