"""`gptrace check` says nothing that it has not measured: no ✓ on a wrong model, no ✗ beside a right part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.verify.check.catalog import NAMES

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


def differential(second_axis: int = -1, factor: float = 1.0) -> Attend:
    """The weights of one half of the features, less a part of those of the other half."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = [
            hidden_from_later(queries @ keys.mT / queries.shape[-1] ** 0.5)
            for queries, keys in zip(q.chunk(2, -1), k.chunk(2, -1), strict=True)
        ]
        first, second = scores[0].softmax(-1), scores[1].softmax(second_axis)
        return (factor * (first - 0.3 * second)) @ v

    return attend


def halved(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights: Tensor = hidden_from_later(q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    return (weights - 0.5 * weights) @ v


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


class Suppressing(Model):
    """Some ids have a logit of minus infinity: `where` says which of the logits (B, T, V)."""

    def __init__(self, where: Callable[[Tensor], Tensor], loss: bool = False) -> None:
        super().__init__()
        self.where, self.loss = where, loss

    def forward(self, ids: Tensor, targets: Tensor | None = None) -> Any:
        logits = super().forward(ids)
        logits = logits.masked_fill(self.where(logits), -torch.inf)
        if targets is None or not self.loss:
            return logits
        return logits, functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


class PaddedHead(Model):
    """The head, and the table if it is `alike`, has rows up to a multiple of 64: their logits are -inf."""

    def __init__(self, vocab_size: int = VOCABULARY, suppressed: bool = True, alike: bool = False) -> None:
        super().__init__()
        rows = -(-vocab_size // 64) * 64
        self.tok_emb, self.head = nn.Embedding(rows if alike else vocab_size, WIDTH), nn.Linear(WIDTH, rows)
        self.real = vocab_size if suppressed else None

    def forward(self, ids: Tensor) -> Any:
        logits = super().forward(ids)
        logits[..., self.real or logits.shape[-1] :] = -torch.inf
        return logits


class Rough(Model):
    """The vectors are in bfloat16 wherever it runs; `leak` is the share of the mean that each one gets."""

    def __init__(self, leak: float) -> None:
        super().__init__()
        self.leak = leak
        self.bfloat16()

    def embedded(self, ids: Tensor) -> Tensor:
        x = super().embedded(ids).bfloat16()
        return x + self.leak * x.mean(dim=1, keepdim=True)


class CachingLayer(nn.Module):
    """Attention that gets the keys and values so far, and takes them to be `error` larger than they are."""

    def __init__(self, error: float) -> None:
        super().__init__()
        self.error = error
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        kept = torch.stack([k, v])
        if past is not None:
            kept = torch.cat([past * (1 + self.error), kept], dim=-2)
        length = kept.shape[-2]
        mask = torch.ones(length, length, dtype=torch.bool).tril()[-x.shape[1] :]
        mixed = functional.scaled_dot_product_attention(q, kept[0], kept[1], attn_mask=mask)
        return self.proj(mixed.transpose(1, 2).flatten(2)), kept


class Caching(nn.Module):
    """A model in bfloat16 wherever it runs; weights of attention that are `sharp` make much of rounding."""

    def __init__(self, error: float, layers: int = 1, sharp: float = 1.0) -> None:
        super().__init__()
        self.tok_emb, self.pos_emb = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.layers = nn.ModuleList(CachingLayer(error) for _ in range(layers))
        self.head = nn.Linear(WIDTH, VOCABULARY)
        with torch.no_grad():
            for parameter in self.layers.parameters():
                parameter.mul_(sharp)
        self.bfloat16()

    def forward(self, ids: Tensor, past_key_values: list[Tensor] | None = None) -> Any:
        start = 0 if past_key_values is None else past_key_values[0].shape[-2]
        positions = torch.arange(start, start + ids.shape[1])
        x = (self.tok_emb(ids) + self.pos_emb(positions)).bfloat16()
        kept: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            change, cache = layer(x, None if past_key_values is None else past_key_values[number])
            x, kept = functional.layer_norm(x + change, (WIDTH,)), [*kept, cache]
        return self.head(x), kept


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


@pytest.mark.parametrize("attend", [differential(), differential(factor=0.8)])
def test_each_softmax_is_judged_where_the_weights_are_made_of_several(attend: Attend) -> None:
    holds, words = verdict(Model(attend), "attention-sums")
    assert holds is True
    assert words.startswith("each softmax sums to 1")


def test_a_softmax_over_the_queries_is_found_among_several() -> None:
    assert verdict(Model(differential(second_axis=-2)), "attention-sums")[0] is False


def test_weights_of_one_softmax_that_are_combined_with_themselves_are_rescaled() -> None:
    assert verdict(Model(halved), "attention-sums")[0] is False


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


def of_some_ids(logits: Tensor) -> Tensor:
    """Id 0, which checks use as padding and as a label, and the last ones."""
    at = torch.arange(logits.shape[-1])
    return (at == 0) | (at >= VOCABULARY - 7)


def of_ids_after_the_first(logits: Tensor) -> Tensor:
    return of_some_ids(logits) & (torch.arange(logits.shape[1])[:, None] > 0)


def of_all_ids(logits: Tensor) -> Tensor:
    return torch.ones(1, dtype=torch.bool)


def of_all_at_the_last(logits: Tensor) -> Tensor:
    return torch.arange(logits.shape[1])[:, None] >= 6


def of_small_ones(logits: Tensor) -> Tensor:
    """As the logarithm of a probability that became 0."""
    return logits < -0.5


def test_ids_that_are_never_predicted_are_right_and_counted() -> None:
    torch.manual_seed(3)
    model = Suppressing(of_some_ids, loss=True)
    check = gptrace.check(model, only=[*NAMES, "learns", "dtypes"])
    assert check, str(check)
    found = {result.name: result for result in check.checks}
    unjudged = {name for name, result in found.items() if result.holds is None}
    assert unjudged == {"cache", "context", "start-loss"}  # no cache, no length, weights of its own
    assert "; 8 of the 97 ids have -inf at every position" in found["finite"].sentence
    assert "from -inf" not in found["logits"].sentence


@pytest.mark.parametrize("where", [of_ids_after_the_first, of_all_ids, of_all_at_the_last, of_small_ones])
def test_ids_that_are_predicted_at_some_positions_must_be_finite(where: Callable[[Tensor], Tensor]) -> None:
    holds, words = verdict(Suppressing(where), "finite")
    assert holds is False
    assert "NaN or infinite" in words


def test_a_text_of_suppressed_ids_has_no_loss_to_judge() -> None:
    (result,) = gptrace.check(lambda: Suppressing(of_some_ids), ids=[5, 96], only=["start-loss"]).checks
    assert result.holds is None
    assert "the loss is infinite: the text holds ids" in result.reason


def test_a_leak_beside_suppressed_ids_is_found() -> None:
    model = Suppressing(of_some_ids)
    model.attend = lambda q, k, v: (q @ k.mT).softmax(-1) @ v
    assert verdict(model, "finite")[0] is True
    assert verdict(model, "causal")[0] is False


@pytest.mark.parametrize("alike", [False, True])
def test_a_head_that_is_padded_with_suppressed_ids_has_the_right_size(alike: bool) -> None:
    config = {"vocab_size": VOCABULARY, "alike": alike}
    check = gptrace.check(PaddedHead, config=config, only=["vocabulary", "start-loss"])
    assert check, str(check)
    assert f"{VOCABULARY} scores" in check.checks[0].sentence
    assert "near ln(97)" in check.checks[1].sentence
    (result,) = gptrace.check(PaddedHead, config={**config, "suppressed": False}, only=["vocabulary"]).failed
    assert "128 scores" in result.sentence


@pytest.mark.parametrize(("leak", "expected"), [(0.0, {True}), (0.02, {None}), (1.0, {False})])
def test_a_leak_in_half_precision_is_found_or_not_judged(leak: float, expected: set[bool | None]) -> None:
    assert {verdict(Rough(leak), check)[0] for check in ("causal", "padding")} == expected


@pytest.mark.parametrize(
    ("error", "layers", "sharp", "expected"),
    [
        (0.0, 1, 1.0, {True}),
        (0.01, 3, 1.0, {None}),
        (1.0, 1, 1.0, {False}),
        (0.0, 12, 32.0, {True, None}),
    ],
)
def test_a_cache_in_half_precision_is_judged_where_rounding_does_not_explain_the_difference(
    error: float, layers: int, sharp: float, expected: set[bool | None]
) -> None:
    torch.manual_seed(3)
    model = Caching(error, layers, sharp)
    before = [parameter.clone() for parameter in model.parameters()]
    (result,) = gptrace.check(model, only=["cache"]).checks
    assert result.holds in expected, str(result)
    assert all(map(torch.equal, before, model.parameters()))


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
