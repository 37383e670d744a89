"""`gptrace check` on right models in unusual styles, each beside a wrong one that looks like it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import gptrace
from gptrace.model.quiet_torch import torch

nn, functional = torch.nn, torch.nn.functional
Tensor = torch.Tensor
VOCABULARY, WIDTH, HEADS, CONTEXT = 97, 32, 4, 32
HEAD_DIM = WIDTH // HEADS


class Model(nn.Module):
    """One layer of an attention between a token embedding with positions and an output head."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(VOCABULARY, WIDTH)
        self.pos_emb = nn.Embedding(CONTEXT, WIDTH)
        self.attention = attention
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def hidden(self, ids: Tensor) -> Tensor:
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))
        return x + self.attention(self.norm(x))  # type: ignore[no-any-return]

    def forward(self, ids: Tensor) -> object:
        return self.head(self.hidden(ids))


class NormalisedAttention(nn.Module):
    """Queries and keys are normalised, and then get a learned length for each feature."""

    def __init__(self, norm: Callable[[Tensor], Tensor], scale: float) -> None:
        super().__init__()
        self.norm, self.scale = norm, scale
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.length = nn.Parameter(torch.ones(HEADS, 1, HEAD_DIM))

    def forward(self, x: Tensor) -> Tensor:
        B, T, _ = x.shape
        q, k, v = (part.view(B, T, HEADS, HEAD_DIM).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        q, k = self.norm(q) * self.length, self.norm(k) * self.length
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=self.scale)
        return y.transpose(1, 2).flatten(2)


class LatentAttention(nn.Module):
    """Scores of contents and scores of positions are computed apart, and added."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.query = nn.Sequential(nn.Linear(WIDTH, 12), nn.Linear(12, HEADS * 12))
        self.shared_key = nn.Linear(WIDTH, 4)
        self.key, self.value = nn.Linear(WIDTH, HEADS * 8), nn.Linear(WIDTH, HEADS * 8)

    def forward(self, x: Tensor) -> Tensor:
        B, T, _ = x.shape
        content, position = self.query(x).view(B, T, HEADS, 12).split([8, 4], dim=-1)
        key, value = (layer(x).view(B, T, HEADS, 8) for layer in (self.key, self.value))
        scores = torch.einsum("bthd,bshd->bhts", content, key)
        scores = (scores + torch.einsum("bthd,bsd->bhts", position, self.shared_key(x))) * self.scale
        mask = torch.ones(T, T, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(mask, -torch.inf).softmax(dim=-1)
        return torch.einsum("bhts,bshd->bthd", weights, value).flatten(2)


def unit(x: Tensor) -> Tensor:
    return functional.normalize(x, dim=-1)


def unit_mean_square(x: Tensor) -> Tensor:
    return functional.rms_norm(x, x.shape[-1:])


@pytest.mark.parametrize(
    "attention",
    [
        lambda: NormalisedAttention(unit, HEAD_DIM**0.5),
        lambda: NormalisedAttention(unit_mean_square, HEAD_DIM**-0.5),
        lambda: NormalisedAttention(unit_mean_square, 1.0),
        lambda: LatentAttention(12**-0.5),
        lambda: LatentAttention(8**-0.5),
    ],
    ids=["length 1", "mean square 1", "no scale", "both parts", "the first part"],
)
def test_a_scale_that_belongs_to_the_vectors_is_no_mistake(attention: Callable[[], nn.Module]) -> None:
    assert gptrace.check(lambda: Model(attention()), only=["attention-sums"])


def test_long_vectors_must_not_be_multiplied_by_the_root() -> None:
    attention = NormalisedAttention(unit_mean_square, HEAD_DIM**0.5)
    (result,) = gptrace.check(Model(attention), only=["attention-sums"]).failed
    assert result.sentence == "scores are scaled by 2.828, not by 1/√head_dim = 0.3536"


class ModelWithValues(Model):
    """Beside the logits it returns a value of each token, which has a head of its own."""

    def __init__(self) -> None:
        super().__init__(NormalisedAttention(unit, HEAD_DIM**0.5))
        self.value_head = nn.Linear(WIDTH, 1)

    def forward(self, ids: Tensor) -> object:
        hidden = self.hidden(ids)
        return {"logits": self.head(hidden), "values": self.value_head(hidden).squeeze(-1)}


class ModelWithDetachedLogits(Model):
    """The vectors before the head are returned, and the logits send no gradient to them."""

    def forward(self, ids: Tensor) -> object:
        hidden = self.hidden(ids)
        return {"logits": self.head(hidden.detach()), "hidden": hidden}


def test_a_second_head_has_a_loss_of_its_own() -> None:
    assert gptrace.check(ModelWithValues(), only=["gradients", "all-used"])


def test_another_output_is_no_excuse_for_logits_without_a_gradient() -> None:
    model = ModelWithDetachedLogits(NormalisedAttention(unit, HEAD_DIM**0.5))
    (result,) = gptrace.check(model, only=["gradients"]).failed
    assert result.source is not None
    assert "detach" in result.source.text
