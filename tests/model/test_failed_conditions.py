"""What is said where code refuses a size that another one does not divide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gptrace.model.failed_conditions import indivisible_hint

DIVIDES = "d 12 is not divisible by h 5; h could be 2, 3, 4, 6"

# How a function of d = 12 and h = 5 refuses them → what is said.
REFUSALS = {
    "assert d % h == 0": DIVIDES,
    "assert d > 1 and d % h == 0": DIVIDES,
    "assert not d % h": DIVIDES,
    "if d % h: raise ValueError": DIVIDES,
    "if d % h != 0: raise ValueError(d)": DIVIDES,
    "if not (d % h == 0): raise ValueError(d)": DIVIDES,
    "if d % h > 0: raise ValueError(d)": DIVIDES,
    "if d % h:\n        message = 'no'\n        raise ValueError(message)": DIVIDES,
    # A branch for rests, where something else fails.
    "if d % h: int('no number')": "",
    "if d % h:\n        if d > 3:\n            raise ValueError('too great')": "",
    "if d % h: raise ValueError(int('no number'))": "",
    # Another rest than 0 is needed.
    "assert d % h == 1": "",
    "assert d % h != 2": "",
    "assert d % h == 0 or d; assert h < 5": "",
}


def raised_by(statement: str, folder: Path, d: int) -> BaseException:
    file = folder / "refusing.py"
    file.write_text(f"def refusing(d, h):\n    {statement}\n")
    space: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), space)
    with pytest.raises((AssertionError, ValueError)) as caught:
        space["refusing"](d, 5)
    return caught.value


@pytest.mark.parametrize("statement", REFUSALS)
def test_only_the_refusal_of_a_rest_is_explained_by_it(statement: str, tmp_path: Path) -> None:
    assert indivisible_hint(raised_by(statement, tmp_path, 12), {}) == REFUSALS[statement]


def test_divisors_of_a_huge_number_are_not_looked_for_to_the_end(tmp_path: Path) -> None:
    error = raised_by("assert d % h == 0", tmp_path, 3 * 10**18 + 3)
    assert indivisible_hint(error, {}).endswith("h could be 1, 3, 101, 303")
