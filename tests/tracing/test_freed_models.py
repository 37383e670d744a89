"""A model is freed as soon as nobody holds it, whatever gptrace has done with it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

import gptrace
from gptrace.model.architecture import Architecture
from gptrace.model.quiet_torch import torch

Reference = weakref.ref[torch.nn.Module]
born: list[Reference] = []


class Model(torch.nn.Module):
    def __init__(self, vocab_size: int = 50257, emb_dim: int = 8) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(vocab_size, emb_dim)
        self.head = torch.nn.Linear(emb_dim, vocab_size, bias=False)
        born.append(weakref.ref(self))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.embedding(ids))
        return logits


class Failing(Model):
    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return super().forward(ids) @ torch.ones(3)


def trace_class() -> None:
    gptrace.trace("Hello", model=Model)


def trace_closure() -> None:
    module = Model()
    gptrace.trace("Hello", model=lambda: module)


def trace_failing_class() -> None:
    with suppress(gptrace.GptraceError):
        gptrace.trace("Hello", model=Failing)


def trace_operations_of_failing_class() -> None:
    with suppress(gptrace.GptraceError):
        gptrace.trace("Hello", model=Failing, measure=["ops"])


def ask_session() -> None:
    session = gptrace.Session(Model)
    session.trace("Hello")
    session.topk("Hello")
    session.generate("Hello", max_new_tokens=2)


@pytest.fixture
def without_collections() -> Iterator[None]:
    gc.collect()
    born.clear()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        born.clear()


@pytest.mark.usefixtures("without_collections")
@pytest.mark.parametrize(
    "use",
    [trace_class, trace_closure, trace_failing_class, trace_operations_of_failing_class, ask_session],
)
def test_a_model_is_freed_without_a_collection(use: Callable[[], None]) -> None:
    use()
    assert born
    assert [reference() for reference in born if reference() is not None] == []


def test_results_are_kept_with_the_architecture_and_the_oldest_are_dropped() -> None:
    calls = []

    def doubled(architecture: Architecture, number: int) -> int:
        def double() -> int:
            calls.append(number)
            return 2 * number

        return architecture.keep("doubled", number, double)

    first, second = (Architecture({}, lambda changes: Model()) for _ in range(2))
    assert [doubled(first, number) for number in (0, 0, *range(1, 17), 16, 0)][-2:] == [32, 0]
    assert doubled(second, 3) == 6
    assert calls == [*range(17), 0, 3]
    alive = weakref.ref(first)
    del first
    assert alive() is None
