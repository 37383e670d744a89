"""Top candidates against torch, alone and in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from torch.overrides import TorchFunctionMode

import gptrace
from gptrace.errors import OptionError, RunError
from gptrace.model import GPTModel
from gptrace.model.gpt import attend
from gptrace.model.quiet_torch import torch
from gptrace.predict.candidates import candidates_of_rows
from tests.support import (
    assert_rank,
    assert_same_candidates,
    assert_top_logits,
    logits_by_id,
)


def test_the_fused_way_finds_what_the_plain_forward_pass_finds(tiny: GPTModel) -> None:
    ids = [[11, 12, 13], [5, 6, 7, 8, 9]]
    topk = gptrace.topk(ids=ids, k=4, model=tiny, positions="all")
    for row, result in zip(ids, topk.results, strict=True):
        with torch.no_grad():
            logits = tiny.eval()(torch.tensor([row]))[0]
        assert len(result.positions) == len(row)
        for position, prediction in enumerate(result.positions):
            assert len(prediction.candidates) == 4
            assert_top_logits(logits_by_id(prediction.candidates), logits[position])
        assert result.candidates == result.positions[-1].candidates
    blocks: Any = tiny.trf_blocks
    assert all(block.att.attend is attend for block in blocks)


def test_candidates_are_those_of_a_full_sort_ties_included() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(-3, 4, (40, 50), generator=generator).float()  # full of equal logits
    for row, (best, chosen) in zip(rows, candidates_of_rows(rows, 6, chosen=[0, 49]), strict=True):
        order = row.sort(descending=True, stable=True).indices.tolist()
        assert [candidate.token.id for candidate in best] == order[:6]
        assert [candidate.rank for candidate in chosen] == [order.index(0) + 1, order.index(49) + 1]
        expected = torch.log_softmax(row.double(), dim=-1)
        assert [candidate.log_probability for candidate in best] == pytest.approx(
            expected[order[:6]].tolist()
        )


def test_a_stream_in_python_takes_any_iterable_and_reads_it_as_it_goes() -> None:
    taken = 0

    def endless() -> Iterator[object]:
        nonlocal taken
        while True:
            taken += 1
            yield {"ids": [taken], "name": taken}

    stream = gptrace.topk_stream(endless(), model="tiny", k=1, batch_size=2)
    first = [next(stream.results) for _ in range(50)]
    assert [result.extra["name"] for result in first] == list(range(1, 51))
    assert taken < 150
    odd = gptrace.topk_stream(["a", 5, None, [1.5], {"text": "b"}, "", [70000]], model="tiny")
    problems = [result.problem is not None for result in odd.results]
    assert problems == [False, True, True, True, False, True, True]


def test_chosen_tokens_have_rank_and_probability(tiny: GPTModel) -> None:
    result = gptrace.topk("Hello", k=2, model=tiny, tokens=[" Paris", "57"]).results[0]
    with torch.no_grad():
        logits = tiny.eval()(torch.tensor([[15496]]))[0, -1]
    assert [candidate.token.text for candidate in result.chosen] == [" Paris", "57"]
    for candidate in result.chosen:
        assert_rank(candidate.rank, logits, candidate.token.id)
        assert candidate.probability == pytest.approx(float(logits.softmax(-1)[candidate.token.id]), rel=1e-4)


def test_threads_are_set() -> None:
    before = torch.get_num_threads()
    try:
        gptrace.topk("Hello", model="tiny", threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_the_candidates_are_those_of_torch(gpt2_small: GPTModel) -> None:
    trace = gptrace.trace("Hello, I am", model=gpt2_small, k=7, temperature=0.5)
    with torch.no_grad():
        logits = gpt2_small(torch.tensor([[15496, 11, 314, 716]]))[0, -1]
    probabilities = torch.softmax(logits / 0.5, -1)
    candidates = trace.predictions[0].candidates
    assert [candidate.rank for candidate in candidates] == list(range(1, 8))
    assert_top_logits(logits_by_id(candidates), logits)
    for candidate in candidates:
        assert candidate.probability == pytest.approx(float(probabilities[candidate.token.id]), rel=1e-4)
    assert candidates[0].token.text == " Feature"


def test_equal_logits_rank_by_id_and_all_probabilities_sum_to_one() -> None:
    ((found, _),) = candidates_of_rows(torch.tensor([[0.0, 2.0, 2.0, 2.0]]), 4)
    assert [candidate.token.id for candidate in found] == [1, 2, 3, 0]
    assert sum(candidate.probability for candidate in found) == pytest.approx(1)


def test_a_padded_batch_gives_each_prompt_what_it_gets_alone(gpt2_small: GPTModel) -> None:
    texts = ["Hello", "Every effort moves you", "你好", "<|endoftext|>Once upon a time there"]
    alone = [gptrace.topk(text, k=5, model=gpt2_small).results[0] for text in texts]
    together = gptrace.topk(texts, k=5, model=gpt2_small).results
    traced = gptrace.trace(texts, k=5, model=gpt2_small)
    assert [p.padding for p in traced.inputs] == [5, 2, 2, 0]
    assert [p.position for p in traced.predictions] == [0, 3, 3, 5]
    for single, batched, prediction in zip(alone, together, traced.predictions, strict=True):
        assert_same_candidates(batched.candidates, single.candidates)
        assert_same_candidates(prediction.candidates, single.candidates)


def test_topk_runs_the_head_at_the_last_positions_only(tiny: GPTModel) -> None:
    rows: list[tuple[int, ...]] = []

    class Watching(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            if func is torch.nn.functional.linear and args[1] is tiny.out_head.weight:
                rows.append(tuple(result.shape))
            return result

    with Watching():
        gptrace.topk(["Hello", "Hello, I am"], model=tiny)
    assert rows == [(2, 50257)]


def test_a_vocabulary_that_is_not_gpt2s() -> None:
    few = gptrace.topk(ids=[5], model="tiny", config={"vocab_size": 100}, k=100).results[0]
    assert len(few.candidates) == 100
    many = gptrace.topk(ids=[5], model="tiny", config={"vocab_size": 60000}, k=60000).results[0]
    unknown = [candidate for candidate in many.candidates if candidate.token.id >= 50257]
    assert len(unknown) == 60000 - 50257
    assert all(candidate.token.text is None and candidate.token.bytes is None for candidate in unknown)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_logits_without_a_greatest_are_not_ranked(tiny: GPTModel, value: float) -> None:
    with torch.no_grad():
        tiny.out_head.weight[7] = value
    commands: list[Any] = [gptrace.topk, gptrace.loss, gptrace.lens, gptrace.explain, gptrace.generate]
    for ask in commands:
        with pytest.raises(RunError, match=r"the greatest logit is (nan|inf), so there is no next token"):
            ask("Hello, I am", model=tiny)
    problems = [result.problem for result in gptrace.topk_stream(["Hello", "I"], model=tiny).results]
    assert all(problem and "the greatest logit is" in problem.message for problem in problems)


def test_the_top_k_are_the_start_of_every_longer_list(tiny: GPTModel) -> None:
    """In bfloat16 many logits are equal; ties must not depend on k."""
    model = tiny.to(torch.bfloat16)  # one model, so that all logits are the same bits
    longest = gptrace.topk("Hello, I am", model=model, k=400).results[0].candidates
    assert len({candidate.logit for candidate in longest}) < 100
    for k in (1, 5, 9, 10, 50, 200):
        best = gptrace.topk("Hello, I am", model=model, k=k).results[0].candidates
        assert best == longest[:k]


def test_a_tiny_temperature_is_greedy_and_not_nan() -> None:
    best = gptrace.topk("Hello", model="tiny", temperature=1e-308).results[0].candidates
    assert [candidate.probability for candidate in best] == [1, 0, 0, 0, 0]
    trace = gptrace.trace("Hello", model="tiny", temperature=0.5)
    assert trace.to_dict()["temperature"] == 0.5
    assert "divided by the temperature 0.5" in str(trace)


def test_a_small_vocabulary_has_fewer_candidates_unless_k_is_given() -> None:
    assert len(gptrace.topk(ids=[1], model="tiny", config={"vocab_size": 3}).results[0].candidates) == 3
    with pytest.raises(OptionError, match="k is 5"):
        gptrace.topk(ids=[1], model="tiny", config={"vocab_size": 3}, k=5)
