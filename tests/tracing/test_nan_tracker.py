"""The first call that makes NaN or infinity of finite numbers."""

from __future__ import annotations

import math
from typing import Any

import pytest

import gptrace
from gptrace.model.quiet_torch import torch
from tests.models.toys import Function
from tests.support import measured

nn = torch.nn


def test_the_first_call_that_makes_nan_is_named() -> None:
    layers = nn.Sequential(
        nn.Linear(2, 2), nn.Sequential(Function(lambda x: x - x), Function(lambda x: x / x)), nn.ReLU()
    )
    trace = measured(layers, torch.ones(1, 2), measure="statistics")
    assert trace.notes == ("1.1 is the first to turn finite inputs into NaN",)
    first = nn.Linear(2, 2)
    spoiled = nn.Sequential(first, nn.ReLU())
    with torch.no_grad():
        first.weight[0, 0] = math.inf
    trace = measured(spoiled, torch.ones(1, 2), measure="statistics")
    assert trace.notes == ("0 is the first to turn finite inputs into Inf; its weight is not finite",)
    passed_on = measured(nn.ReLU(), torch.tensor([math.nan]), measure="statistics")
    assert passed_on.notes == ()


@pytest.mark.parametrize("measure", ["statistics", "all"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_call_that_makes_nan_in_place_is_named(measure: str, mode: Any) -> None:
    """By then its input holds NaN, too; it did not when it came in."""
    in_place = Function(lambda x: x.sub_(x).div_(x))
    for before in (nn.Linear(2, 2), Function(lambda x: x + 1), Function(lambda x: (x + 1, x)[0])):
        layers = nn.Sequential(before, nn.Sequential(nn.Identity(), in_place), nn.ReLU())
        with mode(), gptrace.watch(layers, measure=measure) as trace:
            layers(torch.ones(1, 2))
        assert trace.notes == ("1.1 is the first to turn finite inputs into NaN",)


class SpoilsBetween(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        x.sub_(x).div_(x)
        result: torch.Tensor = self.second(x)
        return result


@pytest.mark.parametrize("measure", ["statistics", "all"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_what_is_spoiled_between_two_calls_is_neither_of_them(measure: str, mode: Any) -> None:
    module = SpoilsBetween()
    with mode(), gptrace.watch(module, measure=measure) as trace:
        module(torch.ones(1, 2))
    assert trace.notes == ("the model itself is the first to turn finite inputs into NaN",)


def test_nobody_is_blamed_for_nan_in_a_tensor_that_nobody_can_look_into() -> None:
    class Wrapped(torch.Tensor): ...

    layer = nn.ReLU()
    wrapped = torch.tensor([torch.nan]).as_subclass(Wrapped)
    with gptrace.watch(layer, measure=["statistics"]) as trace:
        layer(wrapped)
    assert trace.calls[0].outputs[0].shape == (1,)
    assert trace.notes == ()
