"""Batches of prompts: their order, their padding, and that they change no result."""

from __future__ import annotations

import random
from collections.abc import Iterator

import gptrace
from gptrace.model import GPTModel
from gptrace.model.selection import Limits
from gptrace.predict.batching import BatchBudget, batches, run_in_order
from gptrace.predict.prompt_stream import PromptStream
from gptrace.record import TopKResult
from gptrace.text.gpt2_tokenizer import GPT2
from gptrace.text.lines import PromptLine
from tests.support import assert_same_candidates

WORDS = "the of and to in is you that it he was for on are as with"


def prompts(count: int, seed: int = 1) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS.split(), k=draw.randint(1, 30))) for _ in range(count)]


def test_batches_waste_little_and_hold_every_prompt_once() -> None:
    lengths = [random.Random(n).randint(1, 40) for n in range(300)]
    groups = batches(lengths, BatchBudget(tokens=256), may_pad=True)
    assert sorted(number for batch in groups for number in batch) == list(range(300))
    assert all(max(lengths[n] for n in batch) * len(batch) <= 256 for batch in groups)
    padded = sum(max(lengths[n] for n in batch) * len(batch) for batch in groups)
    assert padded < 1.15 * sum(lengths)
    of_one_length = batches(lengths, BatchBudget(tokens=256), may_pad=False)
    assert all(len({lengths[n] for n in batch}) == 1 for batch in of_one_length)
    assert all(len(batch) <= 3 for batch in batches(lengths, BatchBudget.for_device("cpu", 3), may_pad=True))


def test_a_prompt_longer_than_the_budget_is_a_batch_of_its_own() -> None:
    assert batches([1000, 2], BatchBudget(tokens=10), may_pad=True) == [[0], [1]]


def test_results_come_in_order_and_no_later_than_they_must() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(10_000):
            taken.append(number)
            yield number

    results = run_in_order(
        numbers(),
        lambda number: None if number % 7 == 3 else [number] * (1 + number % 5),
        lambda batch: [f"ran {number}" for number in batch],
        lambda number: f"refused {number}",
        BatchBudget(tokens=8),
        may_pad=True,
    )
    expected = (f"refused {n}" if n % 7 == 3 else f"ran {n}" for n in range(10_000))
    assert next(results) == next(expected)
    assert len(taken) == BatchBudget(tokens=8).pool  # read ahead, but not to the end
    assert list(results) == list(expected)


def test_what_is_read_ahead_is_bounded_in_bytes_too() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    size = 3 << 20
    results = run_in_order(
        numbers(), lambda _: [1], lambda batch: batch, lambda number: number, BatchBudget(tokens=8),
        may_pad=True, size=lambda _: size,
    )  # fmt: skip
    assert next(results) == 0
    assert len(taken) * size <= (16 << 20) + size
    assert list(results) == list(range(1, 100))


def test_the_size_of_a_streamed_prompt_is_at_least_its_text_and_its_ids() -> None:
    lines = [PromptLine(text="x" * 3000, size=3000), PromptLine(text="the " * 500, size=2000)]
    limits = Limits(vocab_size=50257, context_length=1024, is_certain=True)
    too_long, runs = PromptStream.reading(TopKResult, lines, GPT2, limits, special=True).prompts
    assert too_long.size(16) >= 3000
    assert runs.size(16) >= 2000 + 16 * len(runs.prompt.tokens)


def test_a_batch_changes_nothing_but_the_last_bits(tiny: GPTModel) -> None:
    texts = prompts(60)
    alone = [gptrace.topk(text, k=5, model=tiny).results[0] for text in texts]
    order = list(range(60))
    random.Random(4).shuffle(order)
    for size in (None, 1, 7):
        together = gptrace.topk([texts[n] for n in order], k=5, model=tiny, batch_size=size).results
        for number, result in zip(order, together, strict=True):
            assert result.text == texts[number]
            assert_same_candidates(result.candidates, alone[number].candidates)
