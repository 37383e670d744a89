"""Figures of `gptrace explain` and of the lens where a model has several heads, a cap or several dtypes."""

from __future__ import annotations

from typing import Any

import pytest

import gptrace
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from tests.models.small_gpt import Block, SmallGPT

nn = torch.nn
TEXT = "Hello, I am"


class SeveralHeads(SmallGPT):
    """Predicts the token after the next one, too: by another head, or by another call of the same one."""

    def __init__(self, *, is_shared: bool, is_second_first: bool = False) -> None:
        super().__init__()
        self.is_second_first = is_second_first
        self.further = Block("")
        self.second = self.head if is_shared else nn.Linear(16, 50257, bias=False)

    def forward(self, ids: Any) -> Any:
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        further = self.further(x) if self.is_second_first else None
        logits = self.head(self.norm(x))
        return {
            "logits": logits,
            "second": [self.second(self.norm(self.further(x) if further is None else further))],
        }


@pytest.mark.parametrize("is_shared", [False, True])
def test_the_head_is_the_one_that_makes_the_logits(is_shared: bool) -> None:
    model = SeveralHeads(is_shared=is_shared)
    flow, projection = gptrace.explain(TEXT, model=model, topics=["flow", "projection"]).topics
    assert all(claim.holds for topic in (flow, projection) for claim in topic.claims), (flow, projection)
    assert "`head`, the output head" in flow.claims[5].text
    with torch.no_grad():
        x = model.tok_emb(torch.tensor([[15496, 11, 314, 716]])) + model.pos_emb(torch.arange(4))
        for block in model.blocks:
            x = block(x)
    size = float(x[0, -1].square().mean().sqrt())
    assert flow.claims[4].measured.startswith(f"root mean square of the last vector: {size:.4g} → 1")


@pytest.mark.parametrize("is_second_first", [False, True])
@pytest.mark.parametrize("is_shared", [False, True])
def test_the_lens_ends_with_the_logits_of_the_next_token(is_shared: bool, is_second_first: bool) -> None:
    model = SeveralHeads(is_shared=is_shared, is_second_first=is_second_first)
    page = gptrace.Session(model).page(TEXT)
    assert [point.path for point in page.prompts[0].stream][1:] == ["blocks.0", "blocks.1"]
    lens = gptrace.lens(TEXT, model=model, k=1)
    assert [layer.path for layer in lens.results[0].layers] == ["blocks.0", "blocks.1"]
    assert lens.through == (() if is_second_first else ("norm", "head"))
    with torch.no_grad():
        logits = model(torch.tensor([[15496, 11, 314, 716]]))["logits"]
    assert lens.results[0].layers[-1].candidates[0].id == int(logits[0, -1].argmax())


class LightlyCapped(SmallGPT):
    """The cap is far above the logits, which it changes in the sixth digit."""

    def forward(self, ids: Any) -> Any:
        return 1000 * torch.tanh(super().forward(ids) / 1000)


def test_scores_that_a_cap_changes_a_little_are_not_the_logits() -> None:
    (topic,) = gptrace.explain(TEXT, model=LightlyCapped(), topics=["projection"]).topics
    assert topic.claims[1].key == "dot_product_changed"
    assert topic.claims[1].holds is True


def test_bytes_are_those_of_each_parameter() -> None:
    model = SmallGPT()
    model.other.data = model.other.data.double()
    expected = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    (topic,) = gptrace.explain(TEXT, model=model, topics=["tying"]).topics
    assert f"{expected / 2**20:.1f} MiB; as one" in topic.claims[1].measured


class LargestDoubles(torch.utils._python_dispatch.TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes how many numbers the largest float64 tensor has."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.dtype == torch.float64:
            self.largest = max(self.largest, result.numel())
        return result


def test_the_logits_of_a_long_text_are_never_all_in_float64(tiny: GPTModel) -> None:
    """The logits of 2,000 tokens take 800 MB then, for each step of a computation with them."""
    with LargestDoubles() as mode:  # type: ignore[no-untyped-call]
        explanation = gptrace.explain(" a" * 60, model=tiny)
    assert not [claim for topic in explanation.topics for claim in topic.claims if claim.holds is False]
    assert mode.largest < 59 * 50257


class Forbids(SmallGPT):
    """A causal model that never predicts the last id: its logit is minus infinity."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits = super().forward(ids)
        return torch.cat([logits[..., :-1], torch.full_like(logits[..., -1:], -torch.inf)], dim=-1)


def test_minus_infinity_among_the_logits_is_no_difference_and_no_tolerance() -> None:
    explanation = gptrace.explain(TEXT, model=Forbids(), topics=["last-dim", "projection"])
    claims = [claim for topic in explanation.topics for claim in topic.claims]
    (rows,) = [claim for claim in claims if "in a longer or shorter text" in claim.measured]
    assert rows.holds
    assert "nan" not in rows.measured
    # The logit of the last id is no dot product, which an infinite tolerance would let pass.
    assert [claim.key for claim in claims if claim.holds is False] == ["dot_product"]
