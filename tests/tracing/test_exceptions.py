"""Exceptions in a watched module: they go on unchanged, and are described."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import gptrace
from gptrace.model.quiet_torch import torch
from tests.models.toys import Function, Raising
from tests.support import fingerprint

nn = torch.nn


def test_checkpointed_parts_have_not_failed() -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))

        def forward(self, x: Any) -> Any:
            from torch.utils.checkpoint import checkpoint

            run: Any = checkpoint
            return run(self.inner, x, use_reentrant=False)

    model = Checkpointed()
    with gptrace.watch(model) as trace:
        model(torch.ones(1, 3, requires_grad=True)).sum().backward()
    assert not any(call.failed for call in trace.calls)


class Faulty(nn.Module):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.fine = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.error = error
        self.inner = Raising(error)

    def forward(self, x: torch.Tensor) -> object:
        return self.inner(self.fine(x))


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_exception_goes_on_unchanged_and_is_described(error: BaseException) -> None:
    module = Faulty(error)
    before = fingerprint(module)
    with pytest.raises(type(error)) as caught, gptrace.watch(module) as trace:
        module(torch.ones(2, 3))
    assert caught.value is error
    assert fingerprint(module) == before
    assert [(call.path, call.failed) for call in trace.calls] == [
        ("", True),
        ("fine", False),
        ("inner", True),
    ]
    assert trace.error is not None
    assert (trace.error.path, trace.error.type) == ("inner", type(error).__name__)
    assert trace.error.inputs[0].shape == (2, 3)
    assert "raised" in str(trace)
    assert trace.to_dict()["error"]["path"] == "inner"


def test_an_exception_that_the_model_catches_closes_its_spans() -> None:
    class Forgiving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bad = Raising(ValueError("caught"))
            self.good = nn.ReLU()

        def forward(self, x: torch.Tensor) -> object:
            try:
                return self.bad(x)
            except ValueError:
                return self.good(x)

    module = Forgiving()
    with gptrace.watch(module) as trace:
        module(torch.ones(1))
    assert [(call.path, call.parent, call.failed) for call in trace.calls] == [
        ("", None, False), ("bad", 0, True), ("good", 0, False),
    ]  # fmt: skip
    assert trace.error is None


def test_a_call_inside_an_except_clause_has_not_failed() -> None:
    module = nn.ReLU()
    with gptrace.watch(module) as trace:
        try:
            raise ValueError("something else")
        except ValueError:
            module(torch.ones(1))
    assert not trace.calls[0].failed
    assert trace.calls[0].outputs[0].shape == (1,)


def test_a_failure_to_describe_does_not_hide_the_users_own() -> None:
    class Lazy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.LazyLinear(3)

        def forward(self, x: object) -> object:
            raise ValueError("the user's own")

    module = Lazy()
    with pytest.raises(ValueError, match="the user's own"), gptrace.watch(module) as trace:
        module(torch.ones(1))
    assert trace.error is not None
    assert trace.model.parameters.total == 0


KNOWN_ERROR = ValueError("known")


def _caught(x: torch.Tensor) -> torch.Tensor:
    with suppress(ValueError):
        raise KNOWN_ERROR
    return x


def _while_handling(error: Exception, module: nn.Module) -> gptrace.Trace:
    with suppress(ValueError), gptrace.watch(module) as trace:
        try:
            raise error
        except ValueError:
            module(torch.ones(1))
    return trace


def test_an_exception_that_is_raised_again_is_a_failure() -> None:
    def again(_: torch.Tensor) -> None:
        raise error

    error = ValueError("known")
    trace = _while_handling(error, nn.Sequential(Function(again)))
    assert [call.failed for call in trace.calls] == [True, True]
    assert trace.error is not None
    assert trace.error.path == "0"


@pytest.mark.parametrize("work", [lambda x: x, lambda x: _caught(x)], ids=["returns", "catches it again"])
def test_an_exception_that_is_only_being_handled_is_no_failure(work: Callable[[torch.Tensor], Any]) -> None:
    trace = _while_handling(KNOWN_ERROR, nn.Sequential(Function(work)))
    assert [call.failed for call in trace.calls] == [False, False]
    assert trace.error is None


class Speechless(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


def test_an_exception_whose_words_exit_is_described_without_them() -> None:
    def fail(*_: object) -> None:
        raise Speechless

    module = torch.nn.Linear(2, 2)
    module.register_forward_pre_hook(fail)
    with pytest.raises(Speechless), gptrace.watch(module) as trace:
        module(torch.ones(1, 2))
    assert trace.error is not None
    assert (trace.error.type, trace.error.message) == ("Speechless", "(no message: its __str__ raises)")
