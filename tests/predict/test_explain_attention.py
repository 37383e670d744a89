"""The topic `attention`: every step against torch, styles that are right, and mistakes that get a ✗."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

import gptrace
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import select_model
from gptrace.record import Claim
from gptrace.text.gpt2_tokenizer import GPT2
from tests.models.attending import AttendingGPT
from tests.models.right_models import RIGHT_MODELS
from tests.support import Cli

nn = torch.nn
TEXT = "Hello, I am here"


def claims(model: nn.Module | str, text: str = TEXT, **options: object) -> dict[str, Claim]:
    """The claims about attention, by key."""
    (topic,) = gptrace.explain(text, model=model, topics=["attention"], **options).topics  # type: ignore[arg-type]
    return {claim.key: claim for claim in topic.claims}


def numbers(pattern: str, claim: Claim) -> list[float]:
    found = re.search(pattern, claim.measured)
    assert found is not None, claim.measured
    return [float(number) for number in found.groups()]


def marks(model: nn.Module | str, text: str = TEXT) -> dict[str, bool | None]:
    return {key: claim.holds for key, claim in claims(model, text).items()}


def test_the_figures_are_torchs_own(tiny: GPTModel) -> None:
    found = claims(tiny)
    ids = torch.tensor([GPT2.encode(TEXT)])
    block: Any = tiny.trf_blocks[0]
    attention = block.att
    with torch.no_grad():
        x = block.norm1(tiny.tok_emb(ids) + tiny.pos_emb(torch.arange(5)))
        queries, keys = (attention.split_heads(layer(x)) for layer in (attention.W_query, attention.W_key))
        scores = (queries @ keys.mT / math.sqrt(12)).masked_fill(torch.ones(5, 5).triu(1) == 1, -torch.inf)
        row = scores.softmax(dim=-1)[0, 0, -1]
    best = int(scores[0, 0, -1, :-1].argmax())
    score = float(scores[0, 0, -1, best])
    token = GPT2.token(int(ids[0, best])).text
    assert f'key of "{token}": ' in found["attention_scores"].measured
    by_hand, models_own = numbers(r"= (-?[0-9.]+), the model has (-?[0-9.]+)", found["attention_scores"])
    assert [by_hand, models_own] == pytest.approx([score, score], abs=1e-4)  # they have four digits
    assert "[batch, n_heads, seq_len, seq_len] = [1, 4, 5, 5]" in found["attention_scores"].measured
    shares = [float(share) for share in re.findall(r"([0-9.]+) %", found["attention_weights"].measured)]
    assert shares == pytest.approx((100 * row).tolist(), abs=1e-2)
    assert "[1, 5, 48] → [1, 5, 48]" in found["attention_projected"].measured
    assert not attention._forward_hooks
    assert not attention._forward_pre_hooks


def test_a_shape_is_said_in_words(tiny: GPTModel) -> None:
    claim = claims(tiny)["attention"]
    assert "batch is how many texts run side by side, seq_len how many tokens" in claim.text
    assert claim.measured.startswith("[1, 5, 48]: 1 text, 5 tokens, 48 numbers for each; found 2 times")


@pytest.mark.parametrize(
    ("style", "key"),
    [
        ("", "attention_scores"),
        ("", "attention_projected"),
        ("fused", "attention_scores_fused"),
        ("fused", "attention_values_fused"),
        ("shared", "attention_queries_shared_measured"),
        ("shared keys", "attention_queries_shared_apart_measured"),
        ("head by head", "attention_queries_one_by_one_measured"),
        ("own factor", "attention_scores_own_factor"),
        ("own factor of 5", "attention_scores_own_factor"),  # the text has five tokens
        ("distance", "attention_scores_distance"),
        ("bent", "attention_scores_bent"),
        ("window", "attention_window"),
        ("window", "attention_mask"),
        ("sink mask", "attention_holes"),
        ("divided mask", "attention_mask_after"),
        ("two masks", "attention_mask_unknown"),
        ("sink", "attention_weights_sink"),
        ("changed weights", "attention_weights_changed"),
        ("wide", "attention_joined"),
        ("no list", "attention_ids"),
        ("previous", "attention_previous"),
        ("first", "attention_first"),
    ],
)
def test_each_style_is_said_to_be_what_it_is(style: str, key: str) -> None:
    found = marks(AttendingGPT(style))
    assert found.get(key) is True, found
    assert False not in found.values(), found


@pytest.mark.parametrize(
    ("style", "key"),
    [
        ("changed", "attention_scores_changed"),
        ("zero queries", "attention_scores_zero"),
        ("fused dropout", "attention_values_unmeasured"),
        ("chunks", "attention_of_others"),
        ("joined scores", "attention_of_others"),
        ("joined weights", "attention_of_others"),
        ("gate", "attention_joined_unmeasured"),
        ("unmasked last row", "attention_mask_elsewhere"),
    ],
)
def test_what_is_not_known_is_not_judged(style: str, key: str) -> None:
    found = marks(AttendingGPT(style))
    assert found.get(key, "") is None, found
    assert False not in found.values(), found


@pytest.mark.parametrize(
    ("style", "key", "words"),
    [
        ("unmasked", "attention_mask", "there is no mask, or it hides too little"),
        ("over queries", "attention_weights", "Softmax runs over the queries"),
        ("rows are keys, over queries", "attention_weights", "Softmax runs over the queries"),
        ("late mask", "attention_weights", "The mask comes after softmax"),
        ("scaled by width", "attention_scores", "multiplies by 0.25, and 1/√head_dim is 0.3536"),
        ("scaled by tokens", "attention_scores", "multiplies by 0.4472, and 1/√head_dim is 0.3536"),
        ("viewed", "attention_queries_mixed", "tokens are mixed up"),
        ("merged", "attention_projected", "the vector of a token holds numbers of others"),
    ],
)
def test_a_mistake_gets_its_mark(style: str, key: str, words: str) -> None:
    found = claims(AttendingGPT(style))
    assert [name for name, claim in found.items() if claim.holds is False] == [key]
    assert words in found[key].text


def test_rows_that_are_keys_change_no_claim() -> None:
    """The scores are transposed, and the model computes the same, up to rounding."""
    found, expected = (
        [
            (claim.text, claim.holds, re.sub(r"by [0-9.e-]+", "by ~0", claim.measured))
            for claim in claims(AttendingGPT(style)).values()
        ]
        for style in ("rows are keys", "")
    )
    assert found == expected


def test_each_size_of_a_window_is_named() -> None:
    found = claims(AttendingGPT("two windows"))
    expected = "the last 2 tokens in 1 of 2 places, the last 4 tokens in 1 of 2 places"
    assert found["attention_window"].measured == expected


def test_tokens_far_back_that_are_seen_are_no_window() -> None:
    found = claims(AttendingGPT("sink mask"))
    assert "attention_window" not in found
    assert found["attention_holes"].measured == (
        "the query of the last token looks at 3 of 5 tokens; in 2 of 2 places"
    )


def test_a_mask_after_softmax_is_not_said_to_set_scores() -> None:
    for style in ("late mask", "divided mask"):
        assert "attention_mask" not in claims(AttendingGPT(style))


def test_what_heads_share_is_named() -> None:
    text = claims(AttendingGPT("shared keys"))["attention_queries_shared_apart_measured"].text
    assert text.endswith("there are keys for 1 head and values for 2 heads.")


def test_one_head_is_one_head() -> None:
    found = claims(AttendingGPT("one head"))["attention_queries_one_measured"]
    assert found.text.endswith("There is one head, which does this.")


def test_heads_are_not_taken_for_tokens_where_there_are_as_many() -> None:
    found = marks(AttendingGPT("untransposed"), "Hello,")  # two tokens, two heads; others do not run
    assert [name for name, holds in found.items() if holds is False] == ["attention_queries_mixed"]
    assert False not in marks(AttendingGPT(), "Hello,").values()


@pytest.mark.parametrize("text", [TEXT, "Hello,"])  # five tokens, and as many as there are heads
@pytest.mark.parametrize("layout", ["", ", last", ", matmul"])
def test_the_axis_of_queries_is_that_of_the_tokens(layout: str, text: str) -> None:
    """The heads share keys and values, whose axes then tell no head from a query."""
    found, expected = (
        [
            (claim.text, claim.holds, re.sub(r"(by|is) [0-9.e-]+", "~0", claim.measured))
            for claim in claims(AttendingGPT(style), text).values()
        ]
        for style in (f"queries by heads{layout}", "shared")
    )
    assert found == expected


def test_a_mistake_has_its_line_and_the_check_that_says_more(tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "unscaled.py"
    path.write_text(
        RIGHT_MODELS["course_gpt"].path.read_text().replace("keys.shape[-1] ** 0.5", "keys.shape[1] ** 0.5")
    )
    target = RIGHT_MODELS["course_gpt"]
    asked = ("explain", TEXT, "-m", f"{path}:{target.target}", "--config", f"{path}:{target.config}")
    outcome = cli(*asked, "--topic", "attention")
    assert outcome.code == 1
    assert "✗ Scores are dot products of queries and keys, but not divided by √head_dim" in outcome.out
    assert "--only=attention-sums says more" in outcome.out.replace("\n  ", " ")


# One for each way to write attention, or to do without it.
RIGHT = (
    "nano_gpt", "course_gpt", "llama_like", "einsum_style", "sliding_window", "relative_bias", "gemma_like",
    "torch_attention", "transformer_encoder", "batch_second", "selective_scan", "differential_attention",
    "talking_heads", "head_modules", "attention_sink", "keys_by_queries", "bfloat16_inside", "rolling_cache",
)  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_model_has_no_claim_that_fails(name: str) -> None:
    model = RIGHT_MODELS[name]
    config = f"{model.path}:{model.config}" if model.config else None
    session = gptrace.Session(select_model(f"{model.path}:{model.target}", config=config))
    (topic,) = session.explain(ids=[5, 6, 7, 8, 9, 3, 2], topics=["attention"]).topics
    assert [claim for claim in topic.claims if claim.holds is False] == []


def test_the_heads_of_random_weights_are_not_told_apart() -> None:
    claim = claims("tiny")["attention_noise"]
    assert claim.holds is None
    assert "gptrace explain --topic attention --model small" in claim.measured


def test_heads_of_the_trained_model_look_at_the_token_before_and_at_the_first() -> None:
    text = "The little girl opened the door and looked into the garden."
    session = gptrace.Session("small")
    (topic,) = session.explain(text, topics=["attention"]).topics
    found = {claim.key: claim for claim in topic.claims}
    assert found["attention_previous"].holds is True
    assert found["attention_first"].holds is True
    share, even = numbers(r"([0-9.]+) %.*shared evenly: ([0-9.]+) %", found["attention_previous"])
    # Sharing evenly gives each token that a query sees the same: the mean of 1/3 … 1/T.
    length = len(GPT2.encode(text))
    expected = sum(1 / count for count in range(3, length + 1)) / (length - 2)
    assert even == pytest.approx(100 * expected, abs=1e-2)
    assert share > 3 * even


def test_one_token_looks_at_itself() -> None:
    found = marks("tiny", "Hello")
    assert found["attention_mask_unmeasured"] is None
    assert found["attention_looks_unmeasured"] is None
    assert found["attention_weights"] is True


@pytest.mark.parametrize(
    ("text", "expected"), [("你好", "你 = <e4 bd> 19526 · <a0> 254; 好 = "), ("hello", None)]
)
def test_a_character_in_several_tokens_is_explained(text: str, expected: str | None) -> None:
    (topic,) = gptrace.explain(text, model="tiny", topics=["flow"]).topics
    split = [claim for claim in topic.claims if claim.key == "split_characters"]
    assert len(split) == (expected is not None)
    if expected is not None:
        assert split[0].measured.startswith(expected)
        assert "in UTF-8, 你 is 3 bytes" in split[0].text
