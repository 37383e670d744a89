"""The learning rate of each step."""

from __future__ import annotations

import math


def learning_rate(step: int, steps: int, peak: float, warm_up: float = 0.02) -> float:
    """Return the rate of `step` of `steps`: linear warm-up to `peak`, then a cosine down to 0.

    `warm_up` is the fraction of the steps that the warm-up takes.

    >>> [round(learning_rate(step, 100, 1.0, warm_up=0.1), 3) for step in (0, 4, 9, 10, 55, 99)]
    [0.1, 0.5, 1.0, 1.0, 0.5, 0.0]
    """
    rising = max(1, round(warm_up * steps))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2
