"""What docs/small-model.md says about the trained model."""

from __future__ import annotations

import random
from statistics import geometric_mean

import pytest

import gptrace
from gptrace.model.build import load
from gptrace.model.gpt import GPTModel, MultiHeadAttention, causal_mask
from gptrace.model.quiet_torch import torch
from gptrace.model.selection import select_model
from gptrace.text.gpt2_tokenizer import GPT2
from tests.training.beginnings import BEGINNINGS

SENTENCES = (
    "The children ran down the garden path to the old gate, and there they found the little dog asleep.",
    "He took off his hat and coat, sat down by the fire, and told her everything that had happened that day.",
    "When the old king died, his three sons quarrelled about the crown, and the youngest left in the night.",
)


@pytest.fixture(scope="module")
def small() -> GPTModel:
    module = load(select_model("small")).module
    assert isinstance(module, GPTModel)
    return module


def test_everyday_beginnings_go_on_as_a_reader_expects(small: GPTModel) -> None:
    results = gptrace.topk(list(BEGINNINGS), model=small, k=5).results
    best = {
        beginning: [candidate.text for candidate in result.candidates]
        for beginning, result in zip(BEGINNINGS, results, strict=True)
    }
    assert best["Once upon a"][0] == " time"
    surprising = {beginning for beginning, word in BEGINNINGS.items() if word not in best[beginning]}
    assert len(BEGINNINGS) == 20
    assert len(surprising) <= 6, surprising


def attention(small: GPTModel, block: int, head: int, sentence: str) -> torch.Tensor:
    """Return the attention weights (T, T) of one head."""
    weights: list[torch.Tensor] = []
    att = small.get_submodule(f"trf_blocks.{block}.att")
    assert isinstance(att, MultiHeadAttention)

    def keep(_module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        queries, keys = (att.split_heads(project(inputs[0])) for project in (att.W_query, att.W_key))
        scores = queries @ keys.transpose(2, 3) / att.head_dim**0.5
        T = scores.shape[-1]
        weights.append(scores.masked_fill(causal_mask(T, T, scores.device), -torch.inf).softmax(dim=-1))

    handle = att.register_forward_pre_hook(keep)
    with torch.no_grad():
        small(torch.tensor([GPT2.encode(sentence)]))
    handle.remove()
    return weights[0][0, head]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_heads_have_learned_where_to_look(small: GPTModel, sentence: str) -> None:
    to_the_previous = attention(small, 3, 7, sentence).diagonal(-1)
    assert to_the_previous.mean() > 0.5
    to_the_first = attention(small, 1, 1, sentence)[1:, 0]
    assert to_the_first.mean() > 0.5


def test_the_prediction_forms_from_layer_to_layer(small: GPTModel) -> None:
    results = gptrace.lens(list(SENTENCES), model=small).results
    # The geometric mean: after " the" alone, the rank in the early layers is in the tens of thousands.
    ranks = [
        geometric_mean(cell.rank_of_prediction for result in results for cell in result.layers[number].cells)
        for number in range(6)
    ]
    assert ranks == sorted(ranks, reverse=True)
    assert ranks[0] > 8
    assert ranks[-1] == 1


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_order_of_words_matters(small: GPTModel, sentence: str) -> None:
    words = sentence.split()
    random.Random(1).shuffle(words)
    in_order, shuffled = gptrace.loss([sentence, " ".join(words)], model=small).results
    assert in_order.loss is not None
    assert shuffled.loss is not None
    assert in_order.loss + 3 < shuffled.loss
