"""The comparisons that the tests share let kernel rounding pass, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from gptrace.model.quiet_torch import torch
from gptrace.record import Candidate, Token
from tests.support import (
    agree_to_the_last_digit,
    assert_rank,
    assert_same_but_for_rounding,
    assert_same_candidates,
    assert_top_logits,
)

ROUNDED = 1 + 1e-6


@pytest.mark.parametrize(
    "value", [1.5, [1.5, 2], {"a": {"b": (1.5, "c")}}, Token(5, "a", b"a"), None, float("nan")]
)
def test_the_same_values_are_the_same(value: Any) -> None:
    assert_same_but_for_rounding(value, value)
    assert_same_but_for_rounding({"logit": 1.5 * ROUNDED}, {"logit": 1.5})


@pytest.mark.parametrize(
    ("actual", "expected"),
    [(1.501, 1.5), (2, 1), (1, 1.5), ([1.5], [1.5, 1.5]), ({"a": 1}, {"b": 1}), ({"a": 1.6}, {"a": 1.5}),
     ("a", "b"), (Token(5, "a", b"a"), Token(6, "a", b"a")), (None, 1.5), (float("nan"), 1.5)],
)  # fmt: skip
def test_other_values_are_noticed(actual: Any, expected: Any) -> None:
    with pytest.raises(AssertionError):
        assert_same_but_for_rounding(actual, expected)


def candidates(*logits: tuple[int, float]) -> list[Candidate]:
    return [
        Candidate(rank=rank, id=number, text="", bytes=b"", logit=logit, probability=0.0, log_probability=0.0)
        for rank, (number, logit) in enumerate(logits, start=1)
    ]


LOGITS = torch.tensor([1.0, 4.0, 2.0, 2.0 + 1e-6, -1.0])


def test_near_ties_stand_in_either_order() -> None:
    for top in ({1: 4.0 * ROUNDED, 2: 2.0, 3: 2.0}, {1: 4.0, 3: 2.0, 2: 2.0}, {1: 4.0, 2: 2.0}):
        assert_top_logits(top, LOGITS)
    for rank in (2, 3):
        assert_rank(rank, LOGITS, 2)
    assert_same_candidates(candidates((5, 3.0), (6, 2.0)), candidates((5, 3.0), (7, 2.0)))
    assert_same_candidates(candidates((5, 2.0), (6, 2.0)), candidates((6, 2.0), (5, 2.0)))


@pytest.mark.parametrize("top", [{}, {2: 2.0, 1: 4.0}, {1: 4.001}, {0: 4.0}, {1: 4.0, 0: 1.0}])
def test_wrong_tops_are_noticed(top: dict[int, float]) -> None:
    with pytest.raises(AssertionError):
        assert_top_logits(top, LOGITS)


@pytest.mark.parametrize("rank", [0, 1, 4])
def test_wrong_ranks_are_noticed(rank: int) -> None:
    with pytest.raises(AssertionError):
        assert_rank(rank, LOGITS, 2)


def test_other_candidates_are_noticed() -> None:
    expected = candidates((5, 3.0), (6, 2.0))
    for wrong in (candidates((5, 3.0)), candidates((5, 3.001), (6, 2.0)), candidates((7, 3.0), (6, 2.0)), []):
        with pytest.raises(AssertionError):
            assert_same_candidates(wrong, expected)


@pytest.mark.parametrize(
    ("actual", "expected", "agrees"),
    [
        ("p 0.0134 % of 5", "p 0.0135 % of 5", True),
        ("p 0.0134 % of 5", "p 0.0136 % of 5", False),
        ("p 0.0134 % of 5", "p 0.0134 % of 6", False),
        ("1.08e-05", "1.09e-05", True),
        ("1.08e-05", "1.08e-06", False),
        ("4,884,096 in 18.6 MiB", "4,884,097 in 18.6 MiB", False),
        ("a 1.5", "a 1.5 1.5", False),
        ("a 1.5", "b 1.5", False),
        ("-0.2", "0.2", False),
    ],
)
def test_the_last_digit_of_a_figure_may_differ(actual: str, expected: str, agrees: bool) -> None:
    assert agree_to_the_last_digit(actual, expected) is agrees
