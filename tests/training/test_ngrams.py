"""The simple models that the trained one is compared with."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.ngrams import bigram_loss, unigram_loss

TEXT = np.array([0, 1, 2, 0, 1, 3, 0, 2, 1, 0, 1, 2])


def test_the_probabilities_of_a_unigram_add_up_to_one() -> None:
    losses = [unigram_loss(TEXT, np.array([0, token]), 5) for token in range(5)]
    assert sum(math.exp(-loss) for loss in losses) == pytest.approx(1)


@pytest.mark.parametrize("previous", range(5))  # 4 is not in the text
def test_the_probabilities_of_a_bigram_add_up_to_one(previous: int) -> None:
    losses = [bigram_loss(TEXT, np.array([previous, token]), 5) for token in range(5)]
    assert sum(math.exp(-loss) for loss in losses) == pytest.approx(1)
    assert all(math.isfinite(loss) for loss in losses)


def test_a_bigram_is_better_than_a_unigram_where_order_matters() -> None:
    text = np.tile([0, 1, 2, 3], 100)
    assert bigram_loss(text, text[:20], 4) < 0.1 < unigram_loss(text, text[:20], 4)
