"""`gptrace run`: what it predicts, and what it refuses to predict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import gptrace
from gptrace.errors import ModelCodeError, NoLogitsError, RunError
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from tests.models.toys import Function
from tests.support import Cli, assert_same_candidates

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


SEVERAL_ORIGINS = """
from torch import nn
import torch

class Spoiled(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok_emb, self.pos_emb, self.head = nn.Embedding(300, 8), nn.Embedding(9, 8), nn.Linear(8, 300)
        with torch.no_grad():
            self.tok_emb.weight[7] = self.pos_emb.weight[2] = torch.nan

    def forward(self, x):
        return self.head(self.tok_emb(x) + self.pos_emb.weight[: x.shape[1]])
"""


def test_the_origin_of_nan_is_said_of_the_prompt_that_it_was_found_for(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "spoiled.py"
    path.write_text(SEVERAL_ORIGINS)
    outcome = cli("run", "--ids", "5 7", "--ids", "5 6 5", "--ids", "5", "-m", f"{path}:Spoiled", "--json")
    first, other = (note for note in json.loads(outcome.out)["notes"] if "no next token" in note)
    assert "after prompt 0: " in first
    assert "tok_emb.weight holds NaN" in first
    assert "after prompt 1: " in other
    assert "holds" not in other
    assert "2 of 3 prompts have no next token" in outcome.err
    assert "; after prompt 0: tok_emb.weight holds NaN" in outcome.err


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


def test_logits_without_numbers_predict_nothing() -> None:
    on_meta = Function(lambda ids: torch.ones(*ids.shape, 50257, device="meta"))
    assert gptrace.trace("Hi", model=on_meta).predictions == ()
    for ask in (gptrace.topk, gptrace.loss, gptrace.generate):
        with pytest.raises(NoLogitsError, match="logits on device meta, without numbers"):
            ask("Hello, I am", model=on_meta)


class MeanPooling(nn.Module):
    """A model whose every position sees the mean of all positions, padding included."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(1000, 16), nn.Linear(16, 1000)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        vectors = self.embedding(ids)
        logits: torch.Tensor = self.head(vectors + 3 * vectors.mean(dim=1, keepdim=True))
        return logits


class LastAlone(MeanPooling):
    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return super().forward(ids)[:, -1:]


class Masked(MeanPooling):
    """A model that forbids one token, as many do; the logit says nothing about the rounding of the others."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return super().forward(ids).index_fill(-1, torch.tensor([999]), -torch.inf)


@pytest.mark.parametrize("model_class", [MeanPooling, LastAlone, Masked])
def test_padding_changes_no_prediction_of_a_model_that_sees_it(model_class: type[nn.Module]) -> None:
    torch.manual_seed(1)
    model = model_class()
    rows = [[5, 6, 7, 8], [9, 10], [11, 12], [13]]
    trace = gptrace.trace(ids=rows, model=model)
    assert [call.outputs[0].shape[0] for call in trace.calls] == [4] * len(trace.calls)
    assert [spec.shape for spec in trace.calls[1].inputs] == [(4, 4)]  # the traced batch is still padded
    for prediction, ids in zip(trace.predictions, rows, strict=True):
        alone = gptrace.trace(ids=ids, model=model)
        assert prediction.position == len(ids) - 1
        assert_same_candidates(prediction.candidates, alone.predictions[0].candidates)
        assert_same_candidates(
            prediction.candidates, gptrace.topk(ids=ids, model=model).results[0].candidates
        )
        assert "padding changes" not in str(alone)
    # One token padded with itself has the same mean as alone, so prompt 3 is not changed.
    has_every_position = model_class is not LastAlone
    assert ("predicts: the next tokens after prompt 1, 2 come" in str(trace)) == has_every_position
    assert "padding changes" not in str(gptrace.trace(ids=rows, model="tiny"))


def test_a_failure_without_padding_keeps_the_trace() -> None:
    def logits(ids: torch.Tensor) -> torch.Tensor:
        assert ids.shape[1] % 2 == 0, "an even number of tokens"
        return nn.functional.one_hot(ids, 20).float()

    with pytest.raises(ModelCodeError, match="an even number of tokens") as caught:
        gptrace.trace(ids=[[1, 2, 3, 4], [5]], model=Function(logits))
    assert isinstance(caught.value.trace, gptrace.Trace)
    assert caught.value.trace.inputs[1].padding == 3


NOT_FINITE = """
import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.queries = nn.Linear(width, width)
        self.register_buffer("mask", torch.triu(torch.ones(64, 64), 0).bool())

    def forward(self, x):
        T = x.shape[1]
        harmless = torch.log(torch.zeros(T)).softmax(0).nan_to_num()
        scores = (self.queries(x) @ x.transpose(1, 2)).masked_fill(self.mask[:T, :T], -torch.inf)
        weights = torch.softmax(scores, dim=-1)  # NaN where all is masked
        return weights.mul_(2) @ x + harmless[:, None]


class GPT(nn.Module):
    def __init__(self, width=8, vocab_size=300):
        super().__init__()
        self.tok_emb, self.att = nn.Embedding(vocab_size, width), Attention(width)
        self.out_head = nn.Linear(width, vocab_size)

    def forward(self, ids):
        x = self.tok_emb(ids)
        return self.out_head(self.att(x) + self.att(x))


class Late(GPT):
    def forward(self, ids):
        x = self.out_head(self.tok_emb(ids))
        return x / 0 if ids.shape[1] > 3 else x
"""


@pytest.mark.parametrize("command", ["run", "topk", "loss", "generate", "explain"])
def test_nan_is_said_to_come_from_the_operation_that_made_it(cli: Cli, command: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(NOT_FINITE)
    line = 1 + NOT_FINITE[: NOT_FINITE.index("weights = torch.softmax")].count("\n")
    ids = "5 6" if command == "loss" else "5"  # the first token sees nothing
    outcome = cli(command, "--ids", ids, "-m", f"{path}:GPT")
    assert outcome.code == 1
    told = outcome.out if command == "run" else outcome.err  # a trace has a note
    assert f"softmax at {path}:{line} in att (Attention, call 1 of 2) is the first to make NaN" in told
    assert f"hint: gptrace check -m {path}:GPT --only=finite says" in outcome.err


def test_infinity_in_a_later_step_has_its_origin(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(NOT_FINITE)
    outcome = cli("generate", "--ids", "5 6", "-m", f"{path}:Late")
    assert outcome.code == 1
    assert "in the model itself (Late) is the first to make Inf" in outcome.err


def test_weights_that_hold_nan_are_named(tiny: GPTModel) -> None:
    with torch.no_grad():
        tiny.get_parameter("trf_blocks.1.norm2.shift")[0] = torch.nan
    with pytest.raises(
        RunError, match=r"trf_blocks.1.norm2.shift holds NaN, and trf_blocks.1.norm2 \(LayerN"
    ):
        gptrace.topk("Hello", model=tiny)


class InPlainList(nn.Module):
    """A block that torch does not see, and one that is registered in another place."""

    def __init__(self) -> None:
        super().__init__()
        self.tok_emb, self.out_head = nn.Embedding(50, 8), nn.Linear(8, 50)
        self.blocks = [nn.Linear(8, 8)]
        self.parts = [self.tok_emb, self.out_head]

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.out_head(self.blocks[0](self.tok_emb(ids)))
        return logits


def test_modules_that_torch_does_not_see_are_named() -> None:
    note = "torch does not see what blocks holds, a plain list"
    trace = gptrace.trace(ids=[1, 2], model=InPlainList)
    assert [each.startswith(note) for each in trace.notes].count(True) == 1
    assert not any(note in each for each in gptrace.trace("Hello", model="tiny").notes)
