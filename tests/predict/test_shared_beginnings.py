"""Prompts that begin alike: grouped well, computed once, and with the results that each has alone."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

import gptrace
from gptrace.model.gpt import attend
from gptrace.model.gpt_parts import attentions
from gptrace.model.quiet_torch import torch
from gptrace.predict.batching import BatchBudget, batches_of
from gptrace.predict.shared_beginnings import SHORTEST, grouped, shared_length
from gptrace.record import LossResult
from tests.support import assert_same_candidates

# float32: the order of the sums inside of attention differs, by some ulp of logits of about 1.
_ROUNDING = 1e-5


def ids(count: int, seed: int) -> list[int]:
    draw = random.Random(seed)
    return [draw.randrange(50_000) for _ in range(count)]


def alike(count: int, shared: int, own: int, seed: int = 1) -> list[list[int]]:
    return [ids(shared, seed) + ids(own + number % 3, 1000 * seed + number) for number in range(count)]


def test_groups_hold_every_prompt_once_and_share_what_they_say() -> None:
    rows = [*alike(30, 100, 5), *alike(40, 33, 2, seed=2), *(ids(50, 7000 + n) for n in range(20))]
    random.Random(3).shuffle(rows)
    groups = grouped(rows)
    assert sorted(number for group in groups for number in group.numbers) == list(range(90))
    assert sorted((len(group.numbers), group.shared) for group in groups) == [(20, 0), (30, 100), (40, 33)]
    for numbers, shared in groups:
        assert len({tuple(rows[number][:shared]) for number in numbers}) == 1


def test_the_longer_beginning_wins_inside_of_a_shorter_one() -> None:
    few = alike(3, 600, 4)
    many = [few[0][:64] + ids(4, 500 + number) for number in range(50)]
    assert sorted((len(numbers), shared) for numbers, shared in grouped(many + few)) == [(3, 600), (50, 64)]


@pytest.mark.parametrize(
    "rows",
    [[], [[1]], [[1] * 5] * 100, alike(2, SHORTEST, 3), [ids(40, number) for number in range(50)]],
    ids=["none", "one", "short", "little to save", "nothing in common"],
)
def test_nothing_is_grouped_where_it_saves_little(rows: list[list[int]]) -> None:
    assert [shared for _, shared in grouped(rows)] == [0] * bool(rows)


def test_equal_prompts_share_all_but_their_last_id() -> None:
    assert shared_length([ids(30, 1)] * 3) == 29
    assert [(len(numbers), shared) for numbers, shared in grouped([ids(30, 1)] * 40)] == [(40, 29)]


def test_copies_of_a_long_beginning_stay_within_bounds() -> None:
    rows = alike(1000, 900, 1)
    batches = batches_of(rows, BatchBudget(tokens=1024), may_pad=True)
    assert sorted(number for batch in batches for number in batch) == list(range(1000))
    assert max(len(batch) * 900 for batch in batches) <= 16 * 1024


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many ids went into each forward pass."""
    counts: list[int] = []
    original = torch.nn.Embedding.forward

    def forward(embedding: torch.nn.Embedding, input: torch.Tensor) -> torch.Tensor:
        if input.dim() == 2:
            counts.append(input.numel())
        return original(embedding, input)

    monkeypatch.setattr(torch.nn.Embedding, "forward", forward)
    return counts


@pytest.fixture
def session() -> gptrace.Session:
    return gptrace.Session("tiny")


def test_each_prompt_has_the_candidates_that_it_has_alone(
    session: gptrace.Session, computed: list[int]
) -> None:
    rows = alike(40, 32, 4)
    together = session.topk(ids=rows, k=5).results
    assert sum(computed) <= 32 + 40 * 6  # the beginning once, and up to 6 ids of each
    for row, result in zip(rows, together, strict=True):
        alone = session.topk(ids=[row], k=5).results[0]
        assert_same_candidates(result.candidates, alone.candidates)


def test_every_position_and_the_loss_are_those_of_a_prompt_alone(session: gptrace.Session) -> None:
    rows = alike(40, 32, 4)
    for row, result in zip(rows, session.topk(ids=rows, k=3, positions="all").results, strict=True):
        if row in rows[::7]:
            alone = session.topk(ids=[row], k=3, positions="all").results[0]
            for here, there in zip(result.positions, alone.positions, strict=True):
                assert_same_candidates(here.candidates, there.candidates)
    for row, scored in zip(rows[::7], session.loss(ids=rows).results[::7], strict=True):
        expected = _log_probabilities(session.loss(ids=[row]).results[0])
        assert _log_probabilities(scored) == pytest.approx(expected, abs=_ROUNDING)


def _log_probabilities(result: LossResult) -> Sequence[float]:
    return [token.log_probability or 0.0 for token in result.tokens]


def test_a_stream_goes_on_with_the_beginning_that_it_has(
    session: gptrace.Session, computed: list[int]
) -> None:
    rows = alike(1024, 32, 1) + alike(100, 32, 1)
    assert len(list(session.topk_stream(rows, k=1).results)) == 1124
    assert sum(computed) <= 32 + 1124 * 3
    other = alike(30, 40, 2, seed=9)
    assert_same_candidates(
        session.topk(ids=other, k=2).results[7].candidates,
        session.topk(ids=[other[7]], k=2).results[0].candidates,
    )


def test_a_model_with_attention_of_its_own_shares_nothing(computed: list[int]) -> None:
    module = gptrace.GPTModel({"emb_dim": 48, "n_heads": 4, "n_layers": 1, "context_length": 64}).eval()
    (attention,) = attentions(module)
    attention.attend = lambda *arguments: attend(*arguments)
    rows = alike(40, 32, 4)
    gptrace.topk(ids=rows, model=module, k=1)
    assert sum(computed) >= sum(map(len, rows))
