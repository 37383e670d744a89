"""Claims and their words: a model makes each key, both languages have a sentence, each keeps its mark."""

from __future__ import annotations

import string
from dataclasses import fields, replace
from types import ModuleType
from typing import Any

import pytest

import gptrace
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.predict.explain.catalog import Catalog, Sentence
from gptrace.predict.explain.claims import MeasuredClaim
from gptrace.predict.explain.run import CATALOGS
from gptrace.predict.explain.topics import TOPICS as MEASURES
from gptrace.predict.explain.topics import inference, last_dim, probabilities, training
from gptrace.predict.validation import TOPICS
from gptrace.record import Token
from gptrace.translation import LANGUAGES
from tests.models.small_gpt import SmallGPT
from tests.predict.claim_models import (
    Adapted,
    AlwaysDropped,
    Autocast,
    Capped,
    Converted,
    Factorized,
    FixedNorm,
    IgnoresPadding,
    LastRow,
    MixingHead,
    Normalized,
    Probabilities,
    RectifiedHead,
    Saturated,
    ScaledTable,
    SharedMemory,
    ShiftedVectors,
    SuppressingHead,
    TiedInPart,
    WideHead,
    WithoutPositions,
)
from tests.predict.measured_claims import TEXT, lower_case_tokenizer, measured, variants

nn = torch.nn


@pytest.fixture(scope="module")
def every_claim() -> dict[str, MeasuredClaim]:
    return {claim.key: claim for topics in variants() for claims in topics.values() for claim in claims}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalog_has_the_sentences_of_the_claims_that_models_make(
    language: str, every_claim: dict[str, MeasuredClaim]
) -> None:
    catalog = CATALOGS[language]
    assert set(catalog.sentences) == set(every_claim)
    assert tuple(catalog.titles) == TOPICS == tuple(MEASURES)
    assert set(CATALOGS) == set(LANGUAGES)
    for claim in every_claim.values():
        words = catalog.claim(claim)
        assert not set("{}") & set(words.text + words.measured), words
        assert words.text
        assert words.measured
        assert "None" not in words.measured
        assert words.holds is claim.holds


def test_both_catalogs_say_the_same_figures() -> None:
    english, chinese = (catalog.sentences for catalog in CATALOGS.values())
    for key in english:
        figures, chinese_figures = (
            {name for part in (sentence.text, sentence.measured, sentence.each) for name in names(part)}
            for sentence in (english[key], chinese[key])
        )
        assert figures - {"tokenizer"} == chinese_figures, key  # the name of the tokenizer is English


def names(template: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(template) if name]


def words_of(catalog: Catalog, claims: list[MeasuredClaim]) -> dict[str, tuple[str, bool | None]]:
    """Figures and mark of each sentence."""
    return {words.text: (words.measured, words.holds) for words in map(catalog.claim, claims)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_keeps_its_own_mark_in_another_order(language: str) -> None:
    claims = measured(SmallGPT("weighted"))["projection"]
    assert [claim.holds for claim in claims] == [True, False, True, True]
    catalog = CATALOGS[language]
    expected = words_of(catalog, claims)
    first, false, third, last = claims
    assert words_of(catalog, [third, false, last, first]) == expected
    without_first = words_of(catalog, [last, false, third])
    assert without_first == {text: expected[text] for text in without_first}
    assert [holds for _, holds in without_first.values()] == [True, False, True]


def test_a_catalog_cannot_change_a_mark() -> None:
    """A sentence is words alone. Sentences of other keys, or marks in the text, leave `holds` as measured."""
    assert {field.name for field in fields(Sentence)} == {"text", "measured", "each", "separator"}
    claims = [claim for claims in measured(SmallGPT("weighted")).values() for claim in claims]
    marks = [claim.holds for claim in claims]
    assert set(marks) == {True, False, None}
    sentences = CATALOGS["en"].sentences
    pairs = zip(sentences, reversed(list(sentences)), strict=True)
    wrong = Catalog({}, {key: Sentence(f"✓ {other}", "True") for key, other in pairs})
    assert [wrong.claim(claim).holds for claim in claims] == marks
    with pytest.raises(KeyError, match="holds"):  # nor can it ask for the mark
        Catalog({}, dict.fromkeys(sentences, Sentence("{holds}", ""))).claim(claims[0])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sentence_of_a_claim_that_fails_says_what_is(language: str) -> None:
    catalog = CATALOGS[language]
    assert {key.partition(" because ")[0] for key in catalog.failures} <= set(catalog.sentences)
    assert set(catalog.failures) == set(CATALOGS["en"].failures)
    for model, key in [(SmallGPT("causal"), "causal"), (SmallGPT("weighted"), "dot_product")]:
        claim = next(claim for claims in measured(model).values() for claim in claims if claim.key == key)
        words, other = catalog.claim(claim), catalog.claim(replace(claim, holds=True))
        assert words.holds is False
        assert words.text != other.text
        assert words.measured == other.measured
    # A claim that is an identity of arithmetic has no failure of its own, and is denied.
    denied = MeasuredClaim("ranking", False, {"count": 3, "first": Token(0, "a", b"a")})
    assert catalog.denial
    assert catalog.claim(denied).text.startswith(catalog.denial)


def test_softmax_within_the_model_is_named_and_nothing_else_is_blamed_for_it() -> None:
    """Next to probabilities of 2e-5, the rounding of the head's scores is no difference."""
    marks = holds_by_key(Probabilities())
    assert {key for key, holds in marks.items() if holds is False} == {"probabilities_returned"}


@pytest.mark.parametrize(
    ("ids", "key", "holds"),
    [([5, 7, 11], "gradient_step_impossible", None), ([5, 7, 12], "gradient_step", True)],
)
def test_no_step_is_said_to_move_a_logit_of_minus_infinity(
    ids: list[int], key: str, holds: bool | None
) -> None:
    claim = measured(Adapted(head=SuppressingHead(16, 50257, bias=False)), ids, topics=["training"])
    assert [(c.key, c.holds) for c in claim["training"]][-1] == (key, holds)
    figures = claim["training"][-1].figures
    assert holds is None or -1 < float(str(figures["others"])) < 0


def test_a_head_that_is_a_part_of_the_table_is_tied_in_part() -> None:
    claims = measured(TiedInPart(), [5, 7, 11], topics=["training", "tying"])
    assert [claim.key for claim in claims["tying"]] == ["tied_in_part"]
    assert claims["training"][-1].key == "gradient_step_tied"


class Prefix(nn.Module):
    """The first tokens of each chunk see the others of the chunk: the end of the text changes nothing."""

    def __init__(self, chunk: int) -> None:
        super().__init__()
        self.chunk, self.emb, self.head = chunk, nn.Embedding(50257, 4), nn.Linear(4, 50257)

    def forward(self, ids: Any) -> Any:
        x = self.emb(ids)
        chunks = [part.mean(1, keepdim=True).expand_as(part) for part in x.split(self.chunk, dim=1)]
        return self.head(torch.cat(chunks, dim=1))


@pytest.mark.parametrize("chunk", [2, 3, 4])
def test_later_tokens_of_a_chunk_that_are_seen_are_told(chunk: int) -> None:
    claims = measured(Prefix(chunk), [5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43], topics=["last-dim"])
    assert {claim.key: claim.holds for claim in claims["last-dim"]}["causal"] is False


@pytest.mark.parametrize("shares_memory_alone", [False, True])
def test_a_tied_head_is_not_said_to_move_by_a_step_as_one_of_its_own(shares_memory_alone: bool) -> None:
    model = GPTModel(
        {"emb_dim": 48, "n_heads": 4, "n_layers": 1, "context_length": 8, "tie_head": True}
    ).eval()
    if shares_memory_alone:
        model.out_head.weight = nn.Parameter(model.tok_emb.weight.data)
    claim = measured(model, [5, 7, 11], topics=["training"])["training"][-1]
    assert (claim.key, claim.holds, claim.figures["sharing"]) == ("gradient_step_tied", True, "tok_emb")
    with torch.no_grad():
        chances = model(torch.tensor([[5, 7]]))[0, -1].double().softmax(-1)
    assert claim.figures["gradient"] == pytest.approx(float(chances[11]) - 1, abs=1e-6)
    assert claim.figures["others"] == pytest.approx(1 - float(chances[11]), abs=1e-6)


def test_a_missing_sentence_is_an_error() -> None:
    with pytest.raises(KeyError, match="softmax"):
        Catalog({}, {}).claim(MeasuredClaim("softmax", True, {}))


@pytest.mark.parametrize(
    ("model", "key"),
    [
        (Adapted(tok_emb=ScaledTable(50257, 16)), "token_embedding_scaled"),
        (WithoutPositions(), "no_position_embedding"),
        (ShiftedVectors(), "block_input_changed"),
        (LastRow(), "last_row_alone"),
        (LastRow(), "output_head"),  # that scores every position, and the model returns one of them
        (Factorized(), "different_shapes"),
        (Factorized(), "output_head_of_other_width"),
    ],
)
def test_a_variant_is_measured_too(model: nn.Module, key: str) -> None:
    claims = {claim.key: claim for claims in measured(model).values() for claim in claims}
    assert claims[key].holds is True


def test_a_tokenizer_that_normalizes_the_text_is_no_fault_of_the_model() -> None:
    claim, *others = measured(SmallGPT(), tokenizer=lower_case_tokenizer())["flow"]
    assert (claim.key, claim.holds) == ("tokens_normalized", None)
    assert {other.holds for other in others} == {True}


def with_half_a_head() -> SmallGPT:
    model = SmallGPT()
    with torch.no_grad():
        model.head.weight[:, 8:] = 0
    return model


def holds_by_key(model: nn.Module) -> dict[str, bool | None]:
    return {claim.key: claim.holds for claims in measured(model).values() for claim in claims}


@pytest.mark.parametrize(
    ("model", "keys"),
    [
        (Adapted(head=RectifiedHead(16, 50257, bias=False)), {"matrix_product", "linear"}),
        (Adapted(head=MixingHead(16, 50257, bias=False)), {"last_row", "dot_product"}),
        (with_half_a_head(), {"bottleneck"}),
        (SmallGPT("random"), {"causal", "dot_product", "greedy"}),
        (Adapted(norm=FixedNorm(16)), {"final_norm"}),
    ],
)
def test_a_model_breaks_its_claims_and_no_others(model: nn.Module, keys: set[str]) -> None:
    assert {key for key, holds in holds_by_key(model).items() if holds is False} == keys


@pytest.mark.parametrize(
    ("module", "name", "wrong", "keys"),
    [
        (probabilities, "log_softmax", lambda x, t=1.0: x.double() * t, {"softmax", "temperature"}),
        (probabilities, "log_softmax", lambda x, t=1.0: -x.double().log_softmax(-1), {"softmax", "ranking"}),
        (last_dim, "log_softmax", lambda x: x.double().cos(), {"logits"}),
        (training, "log_softmax", lambda x: x.double() - 10, {"cross_entropy", "gradient_step"}),
        (inference, "probabilities", lambda x: x.double().softmax(-1) ** 2, {"sampled"}),
    ],
)
def test_wrong_arithmetic_breaks_a_claim(
    module: ModuleType, name: str, wrong: Any, keys: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, wrong)
    assert keys <= {key for key, holds in holds_by_key(SmallGPT()).items() if holds is False}


def test_parameters_that_share_their_memory_count_once() -> None:
    claims = {claim.key: claim for claim in measured(SharedMemory())["tying"]}
    assert claims["tied"].figures["parameters"] == 50257 * 4
    assert claims["tied"].figures["otherwise"] == 2 * 50257 * 4


def test_only_the_topics_asked_for_are_explained() -> None:
    topics = gptrace.explain(TEXT, model="tiny", topics=["tying", "flow"]).topics
    assert [topic.topic for topic in topics] == ["flow", "tying"]


def test_a_right_model_that_changes_rows_or_scores_is_not_denied() -> None:
    """A table that normalizes its rows and logits that are capped are no faults."""
    for model, topic, number, key in [
        (Adapted(tok_emb=Normalized(50257, 16)), "flow", 1, "token_embedding_changed"),
        (Capped(), "projection", 1, "dot_product_changed"),
        (Capped("bias"), "projection", 1, "dot_product_changed_with_bias"),
    ]:
        claims = measured(model)
        assert (claims[topic][number].key, claims[topic][number].holds) == (key, True)
        assert all(
            claim.holds is not False for claims_of_topic in claims.values() for claim in claims_of_topic
        )


def test_logits_that_a_cap_makes_equal_keep_the_order_of_their_scores() -> None:
    claim = measured(Saturated())["projection"][1]
    assert (claim.key, claim.holds) == ("dot_product_changed", True)


def test_scores_that_change_their_order_are_denied() -> None:
    """A factor for each token makes others the likeliest, and a table that mixes its rows is no table."""
    claim = measured(SmallGPT("weighted"))["projection"][1]
    assert (claim.key, claim.holds) == ("dot_product", False)
    claim = measured(SmallGPT("lookup"))["flow"][1]
    assert (claim.key, claim.holds) == ("token_embedding", False)


def test_a_model_that_ignores_padding_is_not_taken_for_causal() -> None:
    claims = {claim.key: claim.holds for claim in measured(IgnoresPadding())["last-dim"]}
    assert claims["causal"] is False


def test_a_width_that_is_not_the_models_is_not_called_by_its_name() -> None:
    claims = {claim.key: claim for claims in measured(WideHead()).values() for claim in claims}
    for language in LANGUAGES:
        words = {key: CATALOGS[language].claim(claims[key]) for key in ("token_embedding", "matrix_product")}
        assert "12" in words["token_embedding"].text
        assert "[vocab_size, 20]" in words["matrix_product"].measured
        assert not any("emb_dim" in claim.text for claim in words.values())


def test_random_numbers_before_the_head_are_not_put_down_to_what_follows_it() -> None:
    holds = holds_by_key(AlwaysDropped())
    assert holds["greedy"] is False
    assert holds["dot_product"] is True


@pytest.mark.parametrize("model", [Converted(), Autocast()])
def test_scores_that_are_rounded_before_they_are_converted_are_still_the_products(model: nn.Module) -> None:
    """Logits in float32 say nothing of the dtype of the head."""
    claims = [claim for claims in measured(model).values() for claim in claims]
    assert {"dot_product", "linear", "last_row"} <= {claim.key for claim in claims}
    assert not [claim for claim in claims if claim.holds is False]


def test_ids_are_shown_without_the_texts_of_a_tokenizer_that_does_not_fit() -> None:
    claim = measured("tiny", [5, 17], vocab_size=61, topics=["flow"])["flow"][0]
    assert CATALOGS["en"].claim(claim).measured == "id 5 · id 17; [batch, seq_len] = [1, 2]"
