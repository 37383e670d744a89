"""Claims and their words: a model makes each key, both languages have a sentence, each keeps its mark."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import fields, replace
from types import ModuleType
from typing import Any

import pytest
import transformers
from tokenizers import normalizers

import gptrace
from gptrace.model.build import load, wrap_module
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import select_model
from gptrace.predict.explain.catalog import Catalog, Sentence
from gptrace.predict.explain.claims import MeasuredClaim
from gptrace.predict.explain.measured_model import MeasuredModel
from gptrace.predict.explain.run import CATALOGS
from gptrace.predict.explain.topics import TOPICS as MEASURES
from gptrace.predict.explain.topics import inference, last_dim, probabilities, training
from gptrace.predict.validation import TOPICS
from gptrace.record import Token
from gptrace.text.gpt2_tokenizer import GPT2
from gptrace.text.hugging_face import HuggingFaceTokenizer
from gptrace.text.prompts import from_ids, from_texts
from gptrace.text.tokenizer import Tokenizer
from gptrace.translation import LANGUAGES
from tests.models.attending import AttendingGPT
from tests.models.hugging_face import byte_level_tokenizer
from tests.models.small_gpt import SmallGPT

nn = torch.nn
TEXT = "Hello, I am"


class ScaledTable(nn.Embedding):
    def forward(self, ids: Any) -> Any:
        return 4 * super().forward(ids)


class DoubledTable(nn.Embedding):
    """Each row is returned twice, side by side."""

    def forward(self, ids: Any) -> Any:
        return super().forward(ids).repeat(1, 1, 2)


class NormOfTwo(nn.LayerNorm):
    def forward(self, x: Any, residual: Any = None) -> Any:
        return super().forward(x + residual)


class FixedNorm(nn.LayerNorm):
    """A norm by its name alone."""

    def forward(self, x: Any) -> Any:
        return 0.1 * x


class Adapted(SmallGPT):
    """SmallGPT, with some parts replaced."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


class WithoutPositions(SmallGPT):
    """SmallGPT, without a table of positions."""

    shift = 0.0

    def forward(self, ids: Any) -> Any:
        x = self.tok_emb(ids) + self.shift
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class ShiftedVectors(WithoutPositions):
    shift = 1.0


class ScaledTokens(SmallGPT):
    """The token embedding is multiplied by √D, as in the first Transformer."""

    def forward(self, ids: Any) -> Any:
        x = 4 * self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Normalized(nn.Embedding):
    """The vectors have one length."""

    def forward(self, ids: Any) -> Any:
        return nn.functional.normalize(super().forward(ids), dim=-1)


class Capped(SmallGPT):
    """Logits stay within a range, as in Gemma 2."""

    def forward(self, ids: Any) -> Any:
        return 2 * torch.tanh(super().forward(ids) / 2)


class Saturated(SmallGPT):
    """The cap is so low that it makes the greatest logits equal."""

    def forward(self, ids: Any) -> Any:
        return 0.01 * torch.tanh(super().forward(ids) / 0.01)


class TwoInputNorm(SmallGPT):
    def __init__(self) -> None:
        super().__init__()
        self.norm = NormOfTwo(16)

    def forward(self, ids: Any) -> Any:
        x = self.tok_emb(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x, x))


class Unassigned(SmallGPT):
    """What the last block and the norm return is lost."""

    def forward(self, ids: Any) -> Any:
        x = self.blocks[0](self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1])))
        self.blocks[1](x)
        self.norm(x)
        return self.head(x)


class AlwaysDropped(SmallGPT):
    """Dropout by a function, which no evaluation mode turns off."""

    def forward(self, ids: Any) -> Any:
        x = nn.functional.dropout(self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1])))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Bare(nn.Module):
    """A table of scores: no blocks, no norm, no head."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.randn(50257, 4))

    def forward(self, ids: Any) -> Any:
        return self.scores[ids].cumsum(dim=1) @ self.scores.T


class LastRow(SmallGPT):
    def forward(self, ids: Any) -> Any:
        return super().forward(ids)[:, -1:]


class NormedSum(SmallGPT):
    """The sum of both embeddings goes through a norm before the first block."""

    def __init__(self) -> None:
        super().__init__()
        self.first_norm = nn.LayerNorm(16)

    def embed(self, ids: Any) -> Any:
        return self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))

    def forward(self, ids: Any) -> Any:
        x = 3 * self.first_norm(self.embed(ids))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class TypedEmbedding(NormedSum):
    """A third table is added, as in BERT."""

    def __init__(self) -> None:
        super().__init__()
        self.type_emb = nn.Embedding(2, 16)

    def embed(self, ids: Any) -> Any:
        return super().embed(ids) + self.type_emb(torch.zeros_like(ids))


class RotatedPositions(NormedSum):
    """The rows of positions are factors."""

    def embed(self, ids: Any) -> Any:
        return self.tok_emb(ids) * self.pos_emb(torch.arange(ids.shape[1]))


class OnlyTypes(TypedEmbedding):
    """The second table is not of positions."""

    def embed(self, ids: Any) -> Any:
        return self.tok_emb(ids) + self.type_emb(ids % 2)


class BlocksInAPythonList(NormedSum):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = self.blocks
        del self.blocks

    def forward(self, ids: Any) -> Any:
        x = self.embed(ids)
        for block in [self.first, self.second]:
            x = block(x)
        return self.head(self.norm(x))


class WithoutBlocks(NormedSum):
    """A model that is not finished."""

    def forward(self, ids: Any) -> Any:
        return self.head(self.embed(ids))


class Probabilities(SmallGPT):
    def forward(self, ids: Any) -> Any:
        return super().forward(ids).softmax(dim=-1)


class Factorized(nn.Module):
    """The table has another width than the head."""

    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(50257, 4)
        self.up = nn.Linear(4, 6)
        self.lm_head = nn.Linear(6, 50257, bias=False)

    def forward(self, ids: Any) -> Any:
        return self.lm_head(self.up(self.wte(ids)).cumsum(dim=1))


class SharedMemory(nn.Module):
    """Two parameters that share their numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(50257, 4)
        self.lm_head = nn.Linear(4, 50257, bias=False)
        self.lm_head.weight.data = self.wte.weight.data

    def forward(self, ids: Any) -> Any:
        return self.lm_head(self.wte(ids).cumsum(dim=1))


def measured(
    model: nn.Module | str,
    ids: Sequence[int] = (),
    tokenizer: Tokenizer = GPT2,
    topics: Sequence[str] = TOPICS,
    **config: int | bool,
) -> dict[str, list[MeasuredClaim]]:
    """The claims of each topic, about a text or about ids."""
    torch.manual_seed(3)
    if isinstance(model, str):
        loaded = load(select_model(model, config=config))
    else:
        loaded = wrap_module(model.eval(), "model", {"source": "given"})
    (prompt,) = from_ids([ids]) if ids else from_texts([TEXT], tokenizer)
    with torch.no_grad():
        run = MeasuredModel(loaded, tokenizer, prompt, head=None, seed=123)
        return {topic: MEASURES[topic](run) for topic in topics}


def lower_case_tokenizer() -> Tokenizer:
    tokenizer = byte_level_tokenizer()
    tokenizer.normalizer = normalizers.Lowercase()
    return HuggingFaceTokenizer(transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer))


def variants() -> list[dict[str, list[MeasuredClaim]]]:
    """The claims about models that together make every claim there is."""
    torch.manual_seed(3)
    return [
        measured("tiny"),
        measured("tiny", [15496, 11], tie_head=True),
        measured("tiny", [15496], vocab_size=50304),
        measured("tiny", [5] * 64),
        measured("tiny", [0, 0], vocab_size=2),
        measured(SmallGPT("bias")),
        measured(Adapted(tok_emb=ScaledTable(50257, 16))),
        measured(Adapted(tok_emb=DoubledTable(50257, 8))),
        measured(Adapted(tok_emb=Normalized(50257, 16))),
        measured(Capped()),
        measured(Capped("bias")),
        measured(WithoutPositions()),
        measured(ShiftedVectors()),
        measured(TwoInputNorm()),
        measured(Bare()),
        measured(LastRow()),
        measured(Factorized()),
        measured(SmallGPT(), tokenizer=lower_case_tokenizer()),
        measured(TypedEmbedding()),
        measured(ScaledTokens()),
        measured(RotatedPositions()),
        measured(Probabilities()),
        measured(Unassigned()),
        measured(SmallGPT(), GPT2.encode("你"), topics=["flow"]),
        measured(SmallGPT(), GPT2.encode("你"), lower_case_tokenizer(), topics=["flow"]),
        measured(AttendingGPT("shared"), [5], topics=["attention"]),
        measured(AttendingGPT(), [5], topics=["attention"]),
        *(measured(AttendingGPT(style), topics=["attention"]) for style in _STYLES),
    ]


_STYLES = (
    "fused", "shared", "own factor", "distance", "bent", "changed", "window", "sink", "changed weights",
    "over heads", "wide", "gate", "no list", "previous", "first", "fused dropout", "chunks", "viewed",
    "unmasked last row",
)  # fmt: skip


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


@pytest.mark.parametrize(
    ("model", "key", "holds"),
    [
        (NormedSum(), "position_embedding", True),
        (BlocksInAPythonList(), "position_embedding", True),
        (WithoutBlocks(), "position_embedding", True),
        (TypedEmbedding(), "position_embedding_among_others", True),
        (RotatedPositions(), "position_embedding_unmeasured", None),
        (OnlyTypes(), "block_input_changed", True),
        (ScaledTokens(), "position_embedding_weighted", True),
        (SmallGPT("positions"), "position_embedding", False),
    ],
)
def test_positions_are_found_wherever_they_are_added(model: nn.Module, key: str, holds: bool | None) -> None:
    claim = measured(model)["flow"][2]
    assert (claim.key, claim.holds) == (key, holds)


def test_softmax_within_the_model_is_named_and_nothing_else_is_blamed_for_it() -> None:
    """Next to probabilities of 2e-5, the rounding of the head's scores is no difference."""
    marks = holds_by_key(Probabilities())
    assert {key for key, holds in marks.items() if holds is False} == {"probabilities_returned"}


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


class RectifiedHead(nn.Linear):
    def forward(self, x: Any) -> Any:
        return super().forward(x).relu()


class MixingHead(nn.Linear):
    """Its last row depends on the rows before it."""

    def forward(self, x: Any) -> Any:
        return super().forward(x.cumsum(dim=1))


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


def test_the_norm_inside_a_head_is_found() -> None:
    """BERT's head is a product, an activation and a norm in one module, before the scores."""
    config = transformers.BertConfig(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=100, vocab_size=500,
        is_decoder=True,
    )  # fmt: skip
    claims = measured(transformers.BertLMHeadModel(config), ids=[3, 4, 5])["flow"]
    assert [claim.key for claim in claims[2:5]] == ["position_embedding_among_others", "blocks", "final_norm"]
    assert claims[4].figures["norm"] == "cls.predictions.transform.LayerNorm"
    assert all(claim.holds is not False for claim in claims)


class IgnoresPadding(SmallGPT):
    """Each token sees all others but those with id 0, as in BERT and XLM."""

    def forward(self, ids: Any) -> Any:
        x = self.tok_emb(ids) * (ids != 0)[..., None]
        return self.head(self.norm(x + x.sum(dim=1, keepdim=True)))


def test_a_model_that_ignores_padding_is_not_taken_for_causal() -> None:
    claims = {claim.key: claim.holds for claim in measured(IgnoresPadding())["last-dim"]}
    assert claims["causal"] is False


class WrappedNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(16)

    def forward(self, x: Any) -> Any:
        return self.layer_norm(x)


class ListsOfLists(NormedSum):
    """A block is a list of a norm and a layer, as in x-transformers: it is not called itself."""

    def __init__(self) -> None:
        super().__init__()
        blocks = (nn.ModuleList([nn.ModuleList([WrappedNorm()]), nn.Linear(16, 16)]) for _ in range(2))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, ids: Any) -> Any:
        x = self.embed(ids)
        blocks: Any = self.blocks
        for (norm,), layer in blocks:
            x = x + layer(norm(x)).cumsum(dim=1)
        return self.head(self.norm(x))


def test_a_norm_in_a_list_is_no_block() -> None:
    claims = measured(ListsOfLists())["flow"]
    assert claims[3].key == "no_blocks"


class Recurrent(SmallGPT):
    """One block runs again and again, as in ALBERT and Universal Transformers."""

    def forward(self, ids: Any) -> Any:
        x = self.tok_emb(ids) + self.pos_emb(torch.arange(ids.shape[1]))
        for _ in range(3):
            x = self.blocks[0](x)
        return self.head(self.norm(x))


def test_the_positions_are_looked_for_where_a_block_runs_first() -> None:
    assert holds_by_key(Recurrent())["position_embedding"] is True


class WideHead(SmallGPT):
    """The head has another width than the model, as in OPT-350m, and so have the vectors of the table."""

    def __init__(self) -> None:
        super().__init__()
        self.tok_emb, self.head = nn.Embedding(50257, 12), nn.Linear(20, 50257, bias=False)
        self.widen, self.project = nn.Linear(12, 16), nn.Linear(16, 20)

    def forward(self, ids: Any) -> Any:
        x = self.widen(self.tok_emb(ids)) + self.pos_emb(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.project(self.norm(x)))


def test_a_width_that_is_not_the_models_is_not_called_by_its_name() -> None:
    claims = {claim.key: claim for claims in measured(WideHead()).values() for claim in claims}
    for language in LANGUAGES:
        words = {key: CATALOGS[language].claim(claims[key]) for key in ("token_embedding", "matrix_product")}
        assert "12" in words["token_embedding"].text
        assert "[vocab_size, 20]" in words["matrix_product"].measured
        assert not any("emb_dim" in claim.text for claim in words.values())


def test_a_result_that_is_not_assigned_is_named() -> None:
    claims = {claim.key: claim for claims in measured(Unassigned()).values() for claim in claims}
    for key, path in (("unused_blocks", "`blocks.1`"), ("unused_norm", "`norm`")):
        assert claims[key].holds is False
        assert path in CATALOGS["en"].claim(claims[key]).text
    assert not {"blocks", "final_norm"} & set(claims)


def test_random_numbers_before_the_head_are_not_put_down_to_what_follows_it() -> None:
    holds = holds_by_key(AlwaysDropped())
    assert holds["greedy"] is False
    assert holds["dot_product"] is True
