"""Chains of modules that just fit on Python's stack."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.tracing.recursion_room import recursion_room

nn = torch.nn
VOCABULARY = 50257


class Around(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any) -> Any:
        return self.inner(x)


def chain(length: int) -> nn.Module:
    inner: nn.Module = nn.Sequential(nn.Embedding(VOCABULARY, 2), nn.Linear(2, VOCABULARY))
    for _ in range(length):
        inner = Around(inner)
    return inner


def longest_chain(ids: Any) -> nn.Module:
    """Return a chain that takes nearly all of the stack; how much a call takes depends on Python."""
    length = sys.getrecursionlimit() // 3
    while True:
        with suppress(RecursionError):
            chain(length)(ids)
            return chain(length)
        length -= 10


def test_a_chain_of_modules_that_runs_can_be_traced() -> None:
    ids, limit = torch.tensor([[1, 2]]), sys.getrecursionlimit()
    with torch.no_grad():
        model = longest_chain(ids)
        plain = model(ids)
    trace = gptrace.trace(ids=[1, 2], model=model)
    assert trace.error is None
    assert trace.totals.calls == len(list(model.modules()))
    assert trace.predictions[0].candidates[0].id == int(plain[0, -1].argmax())
    assert gptrace.explain(ids=[1, 2], model=model).topics
    assert sys.getrecursionlimit() == limit


def test_the_limit_is_restored_in_whatever_order_the_blocks_end() -> None:
    before = sys.getrecursionlimit()
    first, second = recursion_room(), recursion_room()
    first.__enter__()
    second.__enter__()
    first.__exit__()
    assert sys.getrecursionlimit() == 2 * before
    second.__exit__()
    assert sys.getrecursionlimit() == before
    try:
        with recursion_room():
            sys.setrecursionlimit(5 * before)
        assert sys.getrecursionlimit() == 5 * before
    finally:
        sys.setrecursionlimit(before)


def test_the_greatest_limit_is_not_doubled() -> None:
    before, greatest = sys.getrecursionlimit(), 2**31 - 1
    sys.setrecursionlimit(greatest)
    try:
        with recursion_room():
            assert sys.getrecursionlimit() == greatest
        assert sys.getrecursionlimit() == greatest
    finally:
        sys.setrecursionlimit(before)
