"""The checks that run only where they are asked for: learns, devices and dtypes."""

from __future__ import annotations

import pytest

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.record import CheckResult
from gptrace.verify.check.catalog import NAMES, ON_REQUEST
from tests.models.right_models import RIGHT_MODELS
from tests.support import Cli, fingerprint
from tests.verify.judging import checked

nn = torch.nn
Tensor = torch.Tensor
VOCABULARY = 600  # more than 256: bfloat16 cannot tell larger whole numbers apart


class Model(nn.Module):
    """A model without attention that is right; `mistake` puts one mistake in."""

    def __init__(self, mistake: str = "") -> None:
        super().__init__()
        self.mistake = mistake
        self.tok_emb = nn.Embedding(VOCABULARY, 16)
        self.pos_emb = nn.Embedding(32, 16)
        self.out_head = nn.Linear(16, VOCABULARY)
        self.scale = torch.ones(16)

    def forward(self, ids: Tensor) -> Tensor:
        if self.mistake == "ids as floats":
            ids = ids.to(self.out_head.weight.dtype).long()
        device = None if self.mistake == "positions on the CPU" else ids.device
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1], device=device))
        if self.mistake == "constant on the CPU":
            x = x * self.scale
        if self.mistake == "constant in float32":
            x = x @ torch.eye(16, device=x.device)
        logits: Tensor = self.out_head(x)
        if self.mistake == "bounded scores":
            logits = torch.tanh(logits)
        return logits.detach() if self.mistake == "no gradient" else logits


def result_of(mistake: str, name: str) -> CheckResult:
    (result,) = gptrace.check(Model(mistake), only=[name]).checks
    return result


@pytest.mark.parametrize(
    ("mistake", "name", "line"),
    [
        ("bounded scores", "learns", "logits = torch.tanh(logits)"),
        ("positions on the CPU", "devices", "x = self.tok_emb(ids) + self.pos_emb("),
        ("constant on the CPU", "devices", "x = x * self.scale"),
        ("ids as floats", "dtypes", "ids = ids.to(self.out_head.weight.dtype).long()"),
    ],
)
def test_a_mistake_is_found_at_its_line(mistake: str, name: str, line: str) -> None:
    result = result_of(mistake, name)
    assert result.holds is False
    assert result.source is not None
    assert result.source.text.startswith(line)
    assert result.likely
    assert result.instead


def test_a_model_of_one_dtype_is_not_judged() -> None:
    result = result_of("constant in float32", "dtypes")
    assert result.holds is None
    assert "does not run in bfloat16" in result.reason
    assert "test_checks_on_request.py:" in result.reason


def test_scores_without_a_gradient_cannot_learn() -> None:
    result = result_of("no gradient", "learns")
    assert result.holds is False
    assert "gradient" in result.sentence


def test_a_right_model_passes_and_is_left_as_it_was() -> None:
    model = Model().train()
    before = fingerprint(model)
    check = gptrace.check(model, only=["causal"], learns=True, devices=True, dtypes=True)
    assert check
    assert [result.name for result in check.checks] == ["causal", *ON_REQUEST]
    learns = check.checks[1]
    assert learns.holds
    assert learns.figure is not None
    assert learns.tolerance is not None
    assert learns.figure <= learns.tolerance
    assert fingerprint(model) == before
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", ["sdpa_causal", "post_norm"])
def test_right_models_of_the_collection_pass(name: str) -> None:
    check = checked(RIGHT_MODELS[name], only=ON_REQUEST)
    assert check, str(check)
    assert [result.name for result in check.checks] == list(ON_REQUEST)


def test_implementations_of_attention_are_compared() -> None:
    (result,) = checked(RIGHT_MODELS["sdpa_causal"], only=["devices"]).checks
    assert result.holds
    assert "sdpa" in result.sentence


def test_what_is_not_asked_for_does_not_run(cli: Cli) -> None:
    assert not set(ON_REQUEST) & {result.name for result in gptrace.check(Model(), only=["causal"]).checks}
    assert not set(ON_REQUEST) & set(NAMES)
    run = cli("check", "-m", "tiny", "--only", "finite", "--dtypes", "--learns")
    assert run.code == 0
    assert [line.split()[1] for line in run.out.splitlines() if line.startswith("✓")] == [
        "finite", "learns", "dtypes",
    ]  # fmt: skip
