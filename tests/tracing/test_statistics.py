"""The numbers that a trace shows are those that were there: beside plain hooks, and whatever is measured."""

from __future__ import annotations

import math
import threading
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy
import pytest

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.tracing.statistics import is_all_finite, statistics_of
from tests.models.toys import Function
from tests.support import KERNEL_ROUNDING, assert_same_but_for_rounding

nn = torch.nn
Work = Callable[[torch.Tensor], Any]
Mode = Callable[[], AbstractContextManager[Any]]


class Then(nn.Module):
    """Changes what its part returned, on its way out or on its way into another part."""

    def __init__(self, change: Work) -> None:
        super().__init__()
        self.first, self.change, self.second = nn.Linear(4, 4), change, nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.second(self.change(self.first(x)))
        return result


def _in_numpy(x: torch.Tensor) -> torch.Tensor:
    (x.detach() if x.requires_grad else x).numpy()[0] = 7  # in inference mode no kernel runs
    return x


def _tripled(x: torch.Tensor) -> torch.Tensor:
    x.detach().mul_(3)
    return x


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    _scripted = torch.jit.script(_tripled)  # which shows its kernels, and no functions


def _elsewhere(x: torch.Tensor) -> torch.Tensor:
    thread = threading.Thread(target=lambda: x.detach().div_(0).sub_(1))
    thread.start()
    thread.join()
    return x


def _shorter(x: torch.Tensor) -> torch.Tensor:
    x.data = x.data[:1]
    return x


def _in_pieces(x: torch.Tensor) -> torch.Tensor:
    torch._foreach_mul_([x.detach()], 2)
    return x


CHANGES: dict[str, Work] = {
    "nothing": lambda x: x,
    "a view": lambda x: x.view_as(x),
    "numpy": _in_numpy,
    "scripted": _scripted,
    "another thread": _elsewhere,
    "shorter": _shorter,
    "foreach": _in_pieces,
    "apply": lambda x: x.detach().apply_(lambda number: number + 1),
    "map": lambda x: x.detach().map_(torch.ones(2, 4), lambda a, b: a + b),
    "empty": lambda x: x[:0],
    "to NaN": lambda x: x.detach().mul_(float("nan")),
    "to 8 bits": lambda x: x.to(torch.float8_e4m3fn),
    "mean of nothing": lambda x: x[:0].mean(),
}


def shown(trace: gptrace.Trace) -> dict[tuple[str, int], tuple[Any, ...] | None]:
    by_call = {(call.path, call.call): call.outputs[0].statistics for call in trace.calls}
    return {key: (it.mean, it.nan, it.infinite) if it else None for key, it in by_call.items()}


def truth(module: nn.Module, run: Callable[[], object]) -> dict[tuple[str, int], tuple[Any, ...] | None]:
    """What plain hooks see, each number by itself."""
    statistics: dict[tuple[str, int], tuple[Any, ...] | None] = {}
    calls: Counter[str] = Counter()

    def look(path: str) -> Any:
        def hook(_: nn.Module, __: Any, output: torch.Tensor) -> None:
            calls[path] += 1
            values = output.detach().reshape(-1)
            if not values.is_floating_point() or not len(values) or values.dtype == torch.float8_e4m3fn:
                statistics[path, calls[path]] = None
                return
            finite = [number for number in values.double().tolist() if math.isfinite(number)]
            mean = pytest.approx(sum(finite) / len(finite), rel=1e-5, abs=1e-6) if finite else None
            nan = sum(map(math.isnan, values.tolist()))
            statistics[path, calls[path]] = (mean, nan, len(values) - len(finite) - nan)

        return hook

    handles = [part.register_forward_hook(look(path)) for path, part in module.named_modules()]
    run()
    for handle in handles:
        handle.remove()
    return statistics


# In inference mode tensors count no writes, and nobody sees what another thread does.
UNSEEN = ("another thread", torch.inference_mode)
MODES: list[Mode] = [torch.no_grad, torch.enable_grad, torch.inference_mode]


KNOWN = [(name, mode) for name in CHANGES for mode in MODES if (name, mode) != UNSEEN]


@pytest.mark.parametrize("measure", [["statistics"], ["statistics", "macs"], ["all"]])
@pytest.mark.parametrize(("name", "mode"), KNOWN)
def test_the_statistics_are_those_of_that_moment(name: str, mode: Mode, measure: list[str]) -> None:
    module, x = Then(CHANGES[name]), torch.linspace(-1, 1, 8).view(2, 4)
    with mode():
        expected = truth(module, lambda: module(x))
        with gptrace.watch(module, measure=measure) as trace:
            module(x)
    assert shown(trace) == expected


@pytest.mark.parametrize(("name", "mode"), KNOWN)
def test_the_first_nan_is_the_same_whatever_else_is_measured(name: str, mode: Mode) -> None:
    module, x = nn.Sequential(Then(CHANGES[name]), Function(lambda x: x.float().mean())), torch.ones(2, 4)
    notes = []
    for measure in (["statistics"], ["all"]):
        with mode(), gptrace.watch(module, measure=measure) as trace:
            module(x)
        notes.append(trace.notes)
    assert notes[0] == notes[1]
    assert bool(notes[0]) == (name in ("another thread", "empty", "to NaN", "mean of nothing"))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_buffer_that_is_filled_again_is_looked_at_again(mode: Mode) -> None:
    buffer = numpy.ones((3, 4), dtype="float32")
    module, x = nn.Sequential(nn.Identity(), nn.Linear(4, 4)), torch.from_numpy(buffer)
    with mode(), gptrace.watch(module, measure="all") as trace:
        for value in (1, 5, float("nan")):
            buffer[...] = value
            module(x)
    seen = [call.outputs[0].statistics for call in trace.calls if call.path == "0"]
    assert [statistics.mean if statistics else 0 for statistics in seen] == [1, 5, None]
    assert trace.notes == ()


def test_running_statistics_are_looked_at_again() -> None:
    norm = nn.BatchNorm1d(4)
    norm.num_batches_tracked = None
    running = Function(lambda _: norm.running_mean)
    module = nn.ModuleDict({"running": running, "norm": norm})

    def run() -> None:
        for part in (running, norm, running):
            part(torch.full((3, 4), 50.0))

    with torch.no_grad(), gptrace.watch(module, measure="all") as trace:
        run()
    seen = [call.outputs[0].statistics for call in trace.calls if call.path == "running"]
    assert [statistics and statistics.mean for statistics in seen] == pytest.approx([0, 5])


def test_what_runs_in_somebodys_own_kernel_is_looked_at_again() -> None:
    inner, outer = nn.Linear(4, 4), nn.Identity()

    @torch.library.custom_op("gptrace_tests::around", mutates_args=())
    def around(x: torch.Tensor) -> torch.Tensor:
        return outer(inner(x).mul_(3)).clone()  # type: ignore[no-any-return]

    module = nn.ModuleDict({"inner": inner, "outer": outer})
    x = torch.ones(2, 4)
    with torch.no_grad(), gptrace.watch(module, measure="all") as trace:
        around(x)
    (before, after) = (call.outputs[0].statistics for call in trace.calls)
    assert before is not None
    assert after is not None
    assert before.mean
    assert after.mean == pytest.approx(3 * before.mean, rel=1e-5)


def test_statistics_are_those_of_the_numbers() -> None:
    statistics = statistics_of(torch.tensor([[1.0, -3.0], [5.0, math.inf]]))
    assert statistics is not None
    assert (statistics.mean, statistics.min, statistics.max, statistics.nan, statistics.infinite) == (
        1.0,
        -3.0,
        5.0,
        0,
        1,
    )
    assert statistics.std == pytest.approx(math.sqrt(32 / 3))
    half = statistics_of(torch.full((1000, 1000), 300.0, dtype=torch.float16))
    assert half is not None
    assert half.mean == pytest.approx(300)
    assert half.std == pytest.approx(0, abs=300 * KERNEL_ROUNDING)
    large = statistics_of(torch.tensor([3e38, 3e38]))
    assert large is not None
    assert (large.nan, large.infinite, large.max) == (0, 0, float(torch.tensor(3e38)))
    assert large.mean == pytest.approx(3e38)
    for nothing in (torch.ones(2, dtype=torch.int64), torch.ones(0), torch.ones(2, device="meta")):
        assert statistics_of(nothing) is None
    all_nan = statistics_of(torch.tensor([math.nan]))
    assert all_nan is not None
    assert (all_nan.mean, all_nan.nan) == (None, 1)
    assert is_all_finite(torch.tensor([3e38, 3e38]))
    assert not is_all_finite(torch.tensor([3e38, math.nan]))


@pytest.mark.parametrize("shape", [(300, 5000), (200, 5000), (1_000_000,), (64, 768)])
@pytest.mark.parametrize("offset", [0.0, 0.4, 0.95, 1.05, 3.0, 1e4])
def test_the_spread_keeps_its_digits_beside_any_mean(offset: float, shape: tuple[int, ...]) -> None:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1)) + offset
    statistics = statistics_of(values)
    assert statistics is not None
    assert statistics.std == pytest.approx(float(values.double().std(correction=0)), rel=1e-5)
    assert statistics.mean == pytest.approx(float(values.double().mean()), abs=1e-5 + 1e-6 * offset)


def _rebound(x: torch.Tensor) -> torch.Tensor:
    x.data.mul_(2)
    return x


def _through_a_view(x: torch.Tensor) -> torch.Tensor:
    x[0].zero_()
    return x


_OTHER = torch.ones(2, 2)


def _other_data(x: torch.Tensor) -> torch.Tensor:
    x.data = _OTHER
    return x


@pytest.mark.parametrize(
    "after",
    [
        lambda x: x,
        lambda x: x.mul_(2),
        _through_a_view,
        _rebound,
        _other_data,
        lambda x: torch.add(x, x, out=x),
    ],
    ids=["as it is", "in place", "through a view", "through .data", "other data", "out="],
)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_tensor_that_left_two_calls_is_looked_at_again_when_it_was_written_to(
    after: Callable[[torch.Tensor], torch.Tensor], mode: Any
) -> None:
    class Returns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return after(self.linear(x))

    returns, x = Returns(), torch.ones(2, 3)
    with mode():
        for measure in (["statistics"], ["all"]):
            with gptrace.watch(returns, measure=measure) as trace:
                output = returns(x)
            outside, inside = (call.outputs[0].statistics for call in trace.calls)
            assert outside == statistics_of(output)
            assert_same_but_for_rounding(inside, statistics_of(returns.linear(x)))


@pytest.mark.parametrize(
    ("size", "dtype"),
    [(0.0, torch.float32), (1e-38, torch.float32), (1e-23, torch.float32), (1e-14, torch.float32),
     (1e13, torch.float32), (1e25, torch.float32), (1e38, torch.float32), (1e-290, torch.float64),
     (1e200, torch.float64), (1e308, torch.float64), (1e-6, torch.float16), (1e38, torch.bfloat16)],
)  # fmt: skip
def test_the_spread_of_tiny_and_of_huge_numbers(size: float, dtype: torch.dtype) -> None:
    values = torch.linspace(-1, 1, 1001, dtype=torch.float64).mul(size).to(dtype)
    statistics = statistics_of(values)
    assert statistics is not None
    scaled = values.double() / (size or 1.0)
    assert statistics.std == pytest.approx(float(scaled.std(correction=0)) * size, rel=1e-6)
    assert statistics.mean == pytest.approx(float(scaled.mean()) * size, abs=1e-6 * size)
    assert (statistics.min, statistics.max) == (float(values.min()), float(values.max()))
    assert (statistics.nan, statistics.infinite) == (0, 0)


@pytest.mark.parametrize("shape", [(3_000_001,), (2, 1_500_000, 2)])
@pytest.mark.parametrize("is_contiguous", [True, False])
def test_the_spread_of_one_long_row(shape: tuple[int, ...], is_contiguous: bool) -> None:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    values = values if is_contiguous else values.transpose(0, -1)[..., ::2]
    of_values = statistics_of(values)
    assert of_values is not None
    assert of_values.std == pytest.approx(float(values.double().std(correction=0)), rel=5e-6)
