"""Claims of `gptrace explain` that do not hold name the line that the checks blame."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.record import Claim, SourceLine, Topic
from gptrace.report import View
from gptrace.report.formats import render
from tests.models.attending import AttendingGPT
from tests.models.small_gpt import SmallGPT

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SOFTMAX = """
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, vocab_size=50257, width=8):
        super().__init__()
        self.tok_emb, self.head = nn.Embedding(vocab_size, width), nn.Linear(width, vocab_size)

    def forward(self, ids):
        return torch.softmax(self.head(self.tok_emb(ids)), dim=-1)
"""

HEADS_INSIDE = """
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, vocab_size=97, width=32, context_length=32):
        super().__init__()
        self.tok_emb, self.pos_emb = nn.Embedding(vocab_size, width), nn.Embedding(context_length, width)
        self.qkv, self.head = nn.Linear(width, 3 * width), nn.Linear(width, vocab_size)

    def forward(self, ids):
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))
        q, k, v = (part.unflatten(-1, (4, -1)) for part in self.qkv(x).chunk(3, -1))
        scores = torch.einsum("bqhd,bkhd->bqhk", q, k) / q.shape[-1] ** 0.5
        later = torch.ones(ids.shape[1], ids.shape[1]).triu(1)[:, None].bool()
        scores = scores.masked_fill(later, -1e9)
        weights = scores.softmax(-1)
        return self.head(x + torch.einsum("bqhk,bkhd->bqhd", weights, v).flatten(2))
"""


class Random(torch.nn.Module):
    """Draws random numbers, and looks ahead at none."""

    def __init__(self) -> None:
        super().__init__()
        self.tok_emb, self.head = torch.nn.Embedding(50, 8), torch.nn.Linear(8, 50)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.tok_emb(ids)
        logits: torch.Tensor = self.head(x + torch.randn_like(x))
        return logits


def failed(model: Any) -> dict[str, Claim]:
    explanation = gptrace.explain(ids=[5, 6, 7], model=model, topics=["last-dim"])
    return {claim.key: claim for claim in explanation.topics[0].claims if claim.holds is False}


def test_a_leak_has_its_line_and_the_command_that_says_more() -> None:
    path = EXAMPLES / "leaky.py"
    claim = failed(f"{path}:GPT")["causal"]
    assert claim.source is not None
    assert claim.source.line == 21
    assert claim.check == f"gptrace check -m {path}:GPT --only=causal"
    assert "depend on tokens after their own" in claim.text
    explanation = gptrace.explain(ids=[5, 6, 7], model=f"{path}:GPT", topics=["last-dim"])
    rows = {row["key"]: row for row in csv.DictReader(io.StringIO(render(explanation, "csv")))}
    assert (rows["causal"]["check"], rows["causal"]["line"]) == (claim.check, "21")
    assert rows["causal"]["file"].endswith("leaky.py")
    assert "masked_fill" in rows["causal"]["source"]
    assert {row["line"] for key, row in rows.items() if key != "causal"} == {""}


@pytest.mark.parametrize(
    ("right", "wrong", "likely"),
    [
        ("scores.softmax(-1)", "scores.softmax(1)", "the softmax runs over another axis than the keys"),
        ("scores.softmax(-1)", "scores.softmax(-1) + 0.01", "later keys get weight after the mask"),
        ("-1e9", "-3.0", "too close to the other scores"),
        (".triu(1)", ".tril(-1)", "the mask does not hide exactly the keys after each query"),
    ],
)
def test_a_mask_is_read_along_the_axes_of_queries_and_keys(
    tmp_path: Path, right: str, wrong: str, likely: str
) -> None:
    """The axis of the heads is between them, where the mask has one of size 1."""
    path = tmp_path / "heads_inside.py"
    path.write_text(HEADS_INSIDE.replace(right, wrong), encoding="utf-8")
    (result,) = gptrace.check(f"{path}:Model", only=["causal"]).checks
    assert result.source is not None
    assert wrong in result.source.text
    assert likely in result.likely


@pytest.mark.parametrize(("style", "expected"), [("own factor of 7", True), ("scaled by tokens", False)])
def test_a_scale_of_the_number_of_tokens_is_one_that_follows_it(style: str, expected: bool) -> None:
    """The ids that are checked are seven, so that both have the same factor."""
    (result,) = gptrace.check(AttendingGPT(style), only=["attention-sums"]).checks
    assert result.holds is expected
    assert f"{7**-0.5:.4g}" in result.sentence


def test_probabilities_have_the_line_of_their_softmax(tmp_path: Path) -> None:
    path = tmp_path / "softmax.py"
    path.write_text(SOFTMAX)
    claim = failed(f"{path}:Model")["probabilities_returned"]
    assert claim.source is not None
    assert claim.source.text == "return torch.softmax(self.head(self.tok_emb(ids)), dim=-1)"
    assert claim.check.endswith("--only=logits")


@pytest.mark.parametrize(
    ("language", "line"), [("en", "ch04.ipynb, cell 4, line 12: x = y"), ("zh", "单元格 4 第 12 行：x = y")]
)
def test_a_line_of_a_notebook_is_named_by_its_cell(language: str, line: str) -> None:
    source = SourceLine("ch04.ipynb", 12, "x = y", cell=4)
    claim = Claim("causal", "later tokens leak", "0.1", holds=False, check="gptrace check", source=source)
    explanation = gptrace.explain(ids=[5], model="tiny", topics=["last-dim"])
    kept = replace(explanation, topics=(Topic("last-dim", "the last dimension", (claim,)),))
    assert line in render(kept, "table", View(lang=language))


def test_random_numbers_are_not_called_a_look_ahead() -> None:
    claim = failed(Random())["causal"]
    assert "from run to run" in claim.text
    assert "not causal" not in claim.text
    assert claim.check == "gptrace.check(model)"


def test_nothing_is_checked_where_all_claims_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gptrace.verify.guilty_lines.run_check", None)
    assert not failed(SmallGPT())
