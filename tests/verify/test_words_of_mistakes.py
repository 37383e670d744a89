"""What `gptrace check` says of a mistake is true of it: of an unusual one it says less, and nothing false."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gptrace
from gptrace.model.quiet_torch import torch
from tests.models.mistakes import MISTAKES
from tests.verify.judging import checked

nn, functional = torch.nn, torch.nn.functional
Tensor = torch.Tensor
VOCABULARY, WIDTH = 97, 16


class Model(nn.Module):
    """A mixing of the tokens between a token embedding with positions and an output head."""

    def __init__(self, mix: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.mix = mix
        self.tok_emb = nn.Embedding(VOCABULARY, WIDTH)
        self.pos_emb = nn.Embedding(32, WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))
        logits: Tensor = self.head(x + self.mix(x))
        return logits


def from_each_slice(x: Tensor) -> Tensor:
    """Each query sees one key too many, in a loop over the queries."""
    rows = []
    for t in range(x.shape[1]):
        keys = x[:, : t + 2]
        weights = torch.softmax(keys @ x[:, t, :, None], dim=1)
        rows.append((weights.transpose(1, 2) @ keys)[:, 0])
    return torch.stack(rows, dim=1)


def from_chunks(x: Tensor) -> Tensor:
    """The tokens of a chunk see each other."""
    pad = -x.shape[1] % 4
    chunks = functional.pad(x, (0, 0, 0, pad)).view(len(x), -1, 4, x.shape[2])
    weights = (chunks @ chunks.transpose(2, 3)).softmax(dim=-1)
    return (weights @ chunks).flatten(1, 2)[:, : x.shape[1]]


def from_the_next(x: Tensor) -> Tensor:
    return functional.pad(x[:, 1:], (0, 0, 0, 1))


def from_the_last(x: Tensor) -> Tensor:
    return x[:, -1:]


def from_the_largest(x: Tensor) -> Tensor:
    """A smooth maximum: the greatest number alone would seldom be that of a later token."""
    return x - x.logsumexp(dim=(1, 2), keepdim=True)


def from_the_mean(x: Tensor) -> Tensor:
    return x.mean(dim=1, keepdim=True)


ELSEWHERE = (
    "from here on there is no longer one row of numbers for each token, but slices or frequencies, for "
    "example; this or a later operation lets later tokens in"
)
MOVED = "it brings later tokens to earlier positions"
POOLED = "it mixes all tokens into one value, which each position then gets"


@pytest.mark.parametrize(
    ("mix", "likely"),
    [
        (from_each_slice, ELSEWHERE), (from_chunks, ELSEWHERE), (from_the_next, MOVED),
        (from_the_last, MOVED), (from_the_largest, POOLED), (from_the_mean, POOLED),
    ],
)  # fmt: skip
def test_only_a_pool_is_called_one(mix: Callable[[Tensor], Tensor], likely: str) -> None:
    (result,) = gptrace.check(Model(mix), only=["causal"]).failed
    assert result.likely == likely
    assert result.source is not None
    assert mix.__name__ in result.source.function


def test_the_lanes_of_a_model_without_attention_are_not_judged() -> None:
    (result,) = gptrace.check(Model(from_the_next), only=["tokens-stay-apart"]).checks
    assert result.holds is None


class WithoutTheMeanOfTheBatch(Model):
    """The mean of one prompt is that prompt, so with one prompt nothing of it is left."""

    def __init__(self) -> None:
        super().__init__(lambda x: functional.scaled_dot_product_attention(x, x, x, is_causal=True))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))
        x = x - x.mean(dim=0, keepdim=True)
        logits: Tensor = self.head(x + self.mix(x))
        return logits


def test_a_token_that_cancels_out_is_no_mistake_of_attention() -> None:
    check = gptrace.check(
        WithoutTheMeanOfTheBatch(), only=["tokens-stay-apart", "batch", "positions-matter", "gradients"]
    )
    assert [result.name for result in check.failed] == ["batch", "positions-matter", "gradients"]
    batch, positions, gradients = check.failed
    assert all("mean(dim=0" in (result.source.text if result.source else "") for result in (batch, positions))
    assert positions.likely == "different positions become the same here"
    assert gradients.sentence == "parameters without a gradient: pos_emb.weight"


class WithoutAddedPositions(WithoutTheMeanOfTheBatch):
    def forward(self, ids: Tensor) -> Tensor:
        x = self.tok_emb(ids)
        self.pos_emb(torch.arange(ids.shape[1]))
        logits: Tensor = self.head(x + self.mix(x))
        return logits


def test_positions_that_are_looked_up_and_not_added_are_not_called_equal() -> None:
    (result,) = gptrace.check(WithoutAddedPositions(), only=["positions-matter"]).failed
    assert result.source is not None
    assert result.source.text == "self.pos_emb(torch.arange(ids.shape[1]))"
    assert result.likely == "the positions are looked up, and the result is not used"


class ReplacesPadding(Model):
    def forward(self, ids: Tensor) -> Tensor:
        ids[ids == 0] = 1
        return super().forward(ids)


def test_ids_that_only_padding_has_are_among_those_that_forward_must_not_change() -> None:
    (result,) = gptrace.check(ReplacesPadding(torch.zeros_like), only=["deterministic"]).failed
    assert result.sentence == "forward changes the ids"


def test_scores_without_a_token_are_named_and_the_model_is_checked() -> None:
    """The head has more rows than the table, so some of its ids cannot go in."""
    model = Model(torch.zeros_like)
    model.head = nn.Linear(WIDTH, VOCABULARY + 31)
    check = gptrace.check(model, only=["causal", "vocabulary"])
    (result,) = check.failed
    assert result.sentence.startswith("there is a score for id 127, and the model refuses that id")


class WithLoss(Model):
    def __init__(self, *, padding: int | None = None, **options: object) -> None:
        super().__init__(torch.zeros_like)
        self.tok_emb.padding_idx = padding
        self.options = options

    def forward(self, ids: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:  # type: ignore[override]
        logits = super().forward(ids)
        if targets is None:
            return logits, None
        options: dict[str, Any] = self.options
        return logits, functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), **options)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (WithLoss(), "the loss is the cross-entropy of logits[t] against targets[t]"),
        (WithLoss(reduction="sum"), "the loss is 16 times the mean cross-entropy of the next tokens"),
        (WithLoss(ignore_index=0), "the loss leaves out labels that are 0"),
        (
            WithLoss(ignore_index=0, padding=0),
            "the loss is the cross-entropy of logits[t] against targets[t]",
        ),
    ],
    ids=["mean", "sum", "without zero", "without padding"],
)
def test_a_loss_is_called_what_it_is(model: nn.Module, sentence: str) -> None:
    (result,) = gptrace.check(model, only=["loss-labels"]).checks
    assert result.sentence.startswith(sentence)
    assert result.holds is (result.sentence == sentence)


@pytest.mark.parametrize(
    ("mistake", "advice"),
    [
        (
            "view_of_course_heads_without_transpose",
            "split with x.view(b, num_tokens, self.num_heads, self.head_dim).transpose(1, 2)",
        ),
        (
            "view_of_heads_without_transpose",
            "split with x.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)",
        ),
        ("values_alone_are_viewed_wrongly", "split with x.view(bsz, seqlen, self.n_kv_heads, self.head_dim)"),
    ],
)
def test_advice_has_the_names_of_the_users_code(mistake: str, advice: str, tmp_path: Path) -> None:
    path = MISTAKES[mistake].write(tmp_path)
    (result,) = checked(MISTAKES[mistake].model, path, only=["tokens-stay-apart"]).failed
    assert result.instead.startswith(advice)


class Unscaled(nn.Module):
    """Attention whose code has no name for head_dim."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        scores = 1.0 * self.query(x) @ self.key(x).mT
        hidden = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        mixed: Tensor = scores.masked_fill(hidden, -torch.inf).softmax(-1) @ x
        return mixed


def test_advice_is_in_words_where_the_users_code_has_no_names() -> None:
    (result,) = gptrace.check(lambda: Model(Unscaled()), only=["attention-sums"]).failed
    assert result.instead == (
        "divide them by the square root of head_dim, the size of the last axis of queries and keys"
    )
