"""Texts and ids → prompts that fit a model."""

from __future__ import annotations

import pytest

from gptrace.errors import TextError
from gptrace.text.prompts import fit, from_ids, from_texts, padded_ids, parse_ids


def test_ids_are_read_with_spaces_or_commas() -> None:
    assert parse_ids("15496 11") == parse_ids("15496,11") == parse_ids("[15496, 11]") == [15496, 11]


@pytest.mark.parametrize("text", ["1 two 3", "1.5", "0x10", "1_000", "١٢", "9" * 30])
def test_what_is_no_id_is_named(text: str) -> None:
    with pytest.raises(TextError, match="is not a token id"):
        parse_ids(text)


def test_negative_and_missing_ids() -> None:
    with pytest.raises(TextError, match="id -5 is negative"):
        from_ids([[1, -5]])
    with pytest.raises(TextError, match="list of ids is empty"):
        from_ids([[]])


def test_ids_beyond_the_vocabulary_are_named_with_their_place() -> None:
    with pytest.raises(
        TextError, match="id 50257 at position 1 of prompt 1 is not in the vocabulary of 50257"
    ):
        fit(from_ids([[1], [2, 50257]]), vocab_size=50257, context_length=8)


def test_too_long_a_prompt_says_both_lengths_and_can_be_cut() -> None:
    prompts = from_texts(["a b c d e f"])
    with pytest.raises(TextError, match="has 6 tokens, the model's context holds 4"):
        fit(prompts, vocab_size=50257, context_length=4)
    cut = fit(prompts, vocab_size=50257, context_length=4, truncate=True)[0]
    assert (cut.text, cut.truncated, cut.ids) == (" c d e f", 2, prompts[0].ids[2:])


def test_prompts_of_different_lengths_are_padded_on_the_right() -> None:
    prompts = fit(from_texts(["Hello", "Hello, I am"]), vocab_size=50257, context_length=8)
    assert [prompt.padding for prompt in prompts] == [3, 0]
    assert padded_ids(prompts) == [[15496] * 4, [15496, 11, 314, 716]]
