"""No axis has a wrong name where sizes equal and divide each other: a sample of `make names`."""

from __future__ import annotations

import pytest

from tests.colliding.configurations import KINDS, case
from tests.colliding.models import Llama
from tests.colliding.truth import judge

# One of each kind of model of ours and of users, and some of transformers.
SAMPLE = [number for number, (_, name) in enumerate(KINDS) if name[0].isupper()][:8]
SAMPLE += [
    len(KINDS) + number
    for number, (_, name) in enumerate(KINDS)
    if name in ("NestedGPT", "mistral", "gemma3", "opt")
]


@pytest.mark.parametrize("number", SAMPLE)
def test_names_follow_the_sizes_that_they_name(number: int) -> None:
    verdict = judge(case(number))
    assert verdict.wrong == []
    assert verdict.moved > verdict.axes / 3


def test_a_wrong_name_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names by value alone: the first size that an axis equals."""

    def by_value(sizes: tuple[int, ...], named: dict[str, tuple[int, ...]], **_: bool) -> str:
        return next((name for name, of_name in named.items() if of_name[0] == sizes[0]), str(sizes[0]))

    monkeypatch.setattr("gptrace.tracing.axis_names.axis_name", by_value)
    assert KINDS[4][1] == Llama.__name__
    assert judge(case(4)).wrong
