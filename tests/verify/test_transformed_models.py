"""`gptrace check` on models in which torch maps or compiles code itself, or cannot go back."""

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


def softmax(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = q @ k.mT / q.shape[-1] ** 0.5
    weights: Tensor = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -torch.inf).softmax(-1)
    return weights @ v


class Model(nn.Module):
    """One layer of attention between a token embedding with positions and a head."""

    def __init__(self, attend: Attend = softmax) -> None:
        super().__init__()
        self.tok_emb, self.pos_emb = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.qkv, self.head = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, VOCABULARY)
        self.attend = attend

    def embedded(self, ids: Tensor) -> Tensor:
        x: Tensor = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))
        return x

    def forward(self, ids: Tensor) -> Any:
        x = self.embedded(ids)
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        return self.head(x + self.attend(q, k, v).transpose(1, 2).flatten(2))


def is_seen(i: Tensor, j: Tensor) -> Tensor:
    return j <= i


def with_mapped_mask(first: int) -> Attend:
    """torch.vmap makes the mask, of ids of queries that begin at `first`."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        at = torch.arange(q.shape[-2])
        of_pair: Any = torch.vmap(torch.vmap(is_seen, (None, 0)), (0, None))
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=of_pair(at + first, at))

    return attend


def with_mapped_heads(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    of_head: Any = torch.vmap(softmax, in_dims=1, out_dims=1)
    mapped: Tensor = of_head(q, k, v)
    return mapped


def flexible(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    from torch.nn.attention import flex_attention as flex

    mask = flex.create_block_mask(
        lambda b, h, i, j: i >= j, None, None, q.shape[-2], q.shape[-2], device="cpu"
    )
    result: Any = flex.flex_attention(q, k, v, block_mask=mask)
    return result  # type: ignore[no-any-return]


class InPlace(Model):
    """Adds to the stream in place, after a LayerNorm that needs it has read it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.ff = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)

    def embedded(self, ids: Tensor) -> Tensor:
        x = super().embedded(ids)
        x += self.ff(self.norm(x))
        return x


class Broken(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        raise RuntimeError("not written yet")


class WithBrokenBackward(Model):
    def embedded(self, ids: Tensor) -> Tensor:
        apply: Any = Broken.apply
        doubled: Tensor = apply(super().embedded(ids))
        return doubled


@pytest.mark.filterwarnings("ignore:flex_attention called without")
@pytest.mark.parametrize(
    ("attend", "unjudged"),
    [
        (with_mapped_mask(0), set()),
        (with_mapped_heads, {"tokens-stay-apart", "attention-sums"}),
        # torch cannot go back through flex_attention on the CPU.
        (flexible, {"tokens-stay-apart", "attention-sums", "gradients"}),
    ],
)
def test_code_that_torch_maps_or_compiles_itself_is_judged(attend: Attend, unjudged: set[str]) -> None:
    checks = gptrace.check(model=Model(attend)).checks
    assert not any(check.holds is False for check in checks)
    assert {check.name for check in checks if check.applies and check.holds is None} == {"context", *unjudged}
    assert not any("the check itself" in (check.reason or "") for check in checks)


def test_a_leak_by_a_mapped_mask_is_found_where_it_is_made() -> None:
    checks = {check.name: check for check in gptrace.check(model=Model(with_mapped_mask(1))).checks}
    assert checks["causal"].holds is False
    assert checks["causal"].source is not None
    assert "return j <= i" in checks["causal"].source.text


@pytest.mark.parametrize(
    ("model", "sentence", "line"),
    [
        (InPlace(), "an in-place operation has changed", "x += self.ff(self.norm(x))"),
        (WithBrokenBackward(), "the backward pass raises RuntimeError: not written yet", ""),
    ],
)
def test_a_model_that_cannot_go_back_has_no_gradients(model: nn.Module, sentence: str, line: str) -> None:
    gradients, learns = gptrace.check(model=model, only=["gradients", "learns"]).checks
    assert (gradients.holds, learns.holds) == (False, False)
    assert sentence in gradients.sentence
    assert (gradients.source.text if gradients.source is not None else "") == line


def test_nothing_is_said_of_the_mask_of_a_mapped_head() -> None:
    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        later = torch.ones(q.shape[-2], q.shape[-2]).triu(2).bool()

        def of_head(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return (q @ k.mT).masked_fill(later, -torch.inf).softmax(-1) @ v

        mapped: Any = torch.vmap(of_head, in_dims=1, out_dims=1)
        result: Tensor = mapped(q, k, v)
        return result

    (causal,) = gptrace.check(model=Model(attend), only=["causal"]).checks
    assert causal.holds is False
    assert causal.likely == "it lets later tokens reach earlier positions"
