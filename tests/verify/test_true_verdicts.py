"""`gptrace check` says nothing that it has not measured: no ✓ on a wrong model, no ✗ beside a right part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import gptrace
from gptrace.model.quiet_torch import torch

nn, functional = torch.nn, torch.nn.functional
Tensor = torch.Tensor
VOCABULARY, WIDTH, HEADS, CONTEXT = 97, 32, 4, 32
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def hidden_from_later(scores: Tensor) -> Tensor:
    return scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -torch.inf)


def softmax(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights: Tensor = hidden_from_later(q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    return weights @ v


def sigmoid(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights: Tensor = hidden_from_later(q @ k.mT / q.shape[-1] ** 0.5).sigmoid()
    return weights @ v


def decayed(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Retention: the further away, the less, without a softmax."""
    at = torch.arange(q.shape[-2])
    decay = (0.9 ** (at[:, None] - at)).tril().to(q.dtype)
    weights: Tensor = q @ k.mT / q.shape[-1] ** 0.5 * decay
    return weights @ v


def of_later_keys(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores: Tensor = q @ k.mT / q.shape[-1] ** 0.5
    return scores.masked_fill(torch.ones(scores.shape[-2:]).tril(-1).bool(), -torch.inf).softmax(-1) @ v


def in_bfloat16(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = hidden_from_later((q @ k.mT / q.shape[-1] ** 0.5).bfloat16())
    return scores.softmax(-1).to(v.dtype) @ v


class Model(nn.Module):
    """One layer of attention between a token embedding with positions and a head."""

    def __init__(self, attend: Attend = softmax, rows: int = VOCABULARY) -> None:
        super().__init__()
        self.tok_emb, self.pos_emb = nn.Embedding(rows, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.qkv, self.head = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, rows)
        self.attend = attend

    def embedded(self, ids: Tensor) -> Tensor:
        x: Tensor = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))
        return x

    def attention(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        return self.attend(q, k, v).transpose(1, 2).flatten(2)

    def forward(self, ids: Tensor) -> Any:
        x = self.embedded(ids)
        return self.head(x + self.attention(x))


class Discarding(Model):
    """What attention returns is thrown away."""

    def forward(self, ids: Tensor) -> Any:
        x = self.embedded(ids)
        self.attention(x)
        return self.head(x)


class Padded(Model):
    """Table and head have rows that no token has; `beyond` gives such rows to the table alone."""

    def __init__(self, beyond: int = 0) -> None:
        super().__init__(rows=128)
        self.tok_emb = nn.Embedding(128 + beyond, WIDTH)

    def forward(self, ids: Tensor) -> Any:
        return super().forward(ids)[..., :VOCABULARY].float()


class Rough(Model):
    """The vectors are in bfloat16 wherever it runs; `leak` is the share of the mean that each one gets."""

    def __init__(self, leak: float) -> None:
        super().__init__()
        self.leak = leak
        self.bfloat16()

    def embedded(self, ids: Tensor) -> Tensor:
        x = super().embedded(ids).bfloat16()
        return x + self.leak * x.mean(dim=1, keepdim=True)


def verdict(model: nn.Module, check: str) -> tuple[bool | None, str]:
    torch.manual_seed(3)
    (result,) = gptrace.check(model, only=[check]).checks
    return result.holds, result.reason or result.sentence


@pytest.mark.parametrize("attend", [sigmoid, decayed])
def test_weights_that_are_no_shares_are_not_said_to_sum_to_one(attend: Attend) -> None:
    holds, words = verdict(Model(attend), "attention-sums")
    assert holds is None
    assert "without a softmax" in words
    assert verdict(Model(), "attention-sums")[0] is True


def test_one_key_for_each_query_says_nothing_of_positions() -> None:
    """The mask is wrong, which `causal` says; the positions are right."""
    assert verdict(Model(of_later_keys), "causal")[0] is False
    holds, words = verdict(Model(of_later_keys), "positions-matter")
    assert holds is None
    assert "two keys" in words


def test_attention_whose_result_is_thrown_away_does_not_mix_another_axis() -> None:
    assert verdict(Discarding(), "tokens-stay-apart")[0] is not False
    assert verdict(Discarding(), "gradients")[0] is False


def test_a_vocabulary_that_is_padded_in_table_and_head_is_right() -> None:
    assert verdict(Padded(), "vocabulary")[0] is True
    holds, words = verdict(Padded(beyond=8), "vocabulary")
    assert (holds, words) == (False, "id 97 is beyond the 97 scores, and the model takes it")


@pytest.mark.parametrize(("leak", "expected"), [(0.0, {True}), (0.02, {None}), (1.0, {False})])
def test_a_leak_in_half_precision_is_found_or_not_judged(leak: float, expected: set[bool | None]) -> None:
    assert {verdict(Rough(leak), check)[0] for check in ("causal", "padding")} == expected


def test_gradients_are_not_compared_with_differences_that_bfloat16_rounds_away() -> None:
    assert verdict(Model(in_bfloat16), "gradients")[0] is True
    assert verdict(Model(in_bfloat16), "causal")[0] is True


@pytest.mark.parametrize(("key", "expected"), [("rows", True), ("vocab_size", False)])
def test_a_vocabulary_that_only_the_tokenizer_has_is_not_that_of_the_model(key: str, expected: bool) -> None:
    """A model whose table and head have another size is wrong only where they follow that setting."""

    def make(cfg: dict[str, dict[str, int]]) -> nn.Module:
        rows, width = cfg["sizes"][key] - (key == "vocab_size"), cfg["model"]["emb_dim"]
        return nn.Sequential(nn.Embedding(rows, width), nn.Linear(width, width), nn.Linear(width, rows))

    config = {"model": {"emb_dim": 16}, "sizes": {"rows": 128, "vocab_size": 96}}
    (result,) = gptrace.check(make, config=config, only=["vocabulary"]).checks
    assert result.holds is expected
    assert str(128 if expected else 95) in result.sentence
