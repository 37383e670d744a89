"""Helpers that several test files share."""

from __future__ import annotations

from typing import Any

import pytest

# How far the same float32 figure may be off between two loads of the same weights, two batch shapes or two
# ways through a model. A matrix product adds up its terms in an order that the kernel chooses, by the
# processor, the shape and the place in memory where an array begins; each order rounds differently, by up to
# 2**-24 of the running sum for each term. Logits of the models under test are below 10, so that errors stay
# near 1e-6, while weights that are off by one part in a thousand are still noticed.
KERNEL_ROUNDING = 1e-5


def assert_same_but_for_rounding(actual: Any, expected: Any, tolerance: float = KERNEL_ROUNDING) -> None:
    """Compare two JSON values: floats to `tolerance`, absolute and relative, and everything else exactly."""
    if isinstance(expected, float) and isinstance(actual, float):
        assert actual == pytest.approx(expected, abs=tolerance, rel=tolerance, nan_ok=True)
    elif isinstance(expected, dict) and isinstance(actual, dict):
        assert list(actual) == list(expected)
        for key, value in expected.items():
            assert_same_but_for_rounding(actual[key], value, tolerance)
    elif isinstance(expected, list) and isinstance(actual, list):
        assert len(actual) == len(expected)
        for item, other in zip(actual, expected, strict=True):
            assert_same_but_for_rounding(item, other, tolerance)
    else:
        assert actual == expected
