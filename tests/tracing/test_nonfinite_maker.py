"""The operation that the NaN of an output come from."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from gptrace.model.quiet_torch import torch
from gptrace.tracing.nonfinite_maker import find_first_maker
from tests.models.toys import Function

nn = torch.nn
X = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def first_maker_in(model: nn.Module, x: Any = X) -> str:
    with torch.no_grad():
        assert copy.deepcopy(model)(x).isnan().any()
        return find_first_maker(model, lambda: model(x), "NaN")


@pytest.fixture
def unset_memory_is_nan() -> Iterator[None]:
    """Let torch fill what `empty` returns with NaN, which is left to chance otherwise."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def written_through_a_view(x: Any) -> Any:
    y = x.clone()
    y[:, 0].mul_(0).div_(0)  # here
    return y + 1


def copied_into_a_view(x: Any) -> Any:
    y, of_negative = x.clone(), torch.log(-x)  # here
    y[:, 0].copy_(of_negative[:, 0])
    return y * 2


def written_to_data(x: Any) -> Any:
    y = x.clone()
    y.data.copy_(torch.log(-x))  # here
    return y * 2


def overwritten(x: Any) -> Any:
    y = torch.log(-x)
    y.copy_(torch.sqrt(-x))  # here
    return y


def overwritten_by_index(x: Any) -> Any:
    y = torch.log(-x)
    y[:] = torch.sqrt(-x)  # here
    return y


def overwritten_in_part(x: Any) -> Any:
    y = torch.log(-x)  # here
    y[:1] = torch.sqrt(-x[:1])
    return y


def overwritten_by_mask(x: Any) -> Any:
    y = torch.log(-x)  # here
    y[x > 2] = torch.sqrt(-x)[x > 2]
    return y


def overwritten_with_itself(x: Any) -> Any:
    y = torch.log(-x)  # here
    y[:] = y
    return y


def read_by_what_overwrites_it(x: Any) -> Any:
    y = torch.log(-x)  # here
    torch.add(y, 1, out=y)
    return y


def complex_on_the_way(x: Any) -> Any:
    frequencies = torch.fft.fft(torch.log(-x))  # here
    return frequencies.real


def complex_to_real(x: Any) -> Any:
    frequencies = torch.fft.rfft(torch.log(-x))  # here
    return torch.fft.irfft(frequencies, n=3)


def made_by_a_complex_operation(x: Any) -> Any:
    y = torch.complex(x, x)
    y = torch.log(y - y) * 0  # here
    return y.imag


def unset_with_out(x: Any) -> Any:
    y = torch.empty_like(x)
    torch.log(-x, out=y)  # here
    return y + 1


def unset_in_parts(x: Any) -> Any:
    y = torch.empty_like(x)
    y[:, :1] = torch.log(-x[:, :1])  # here
    y[:, 1:] = x[:, 1:]
    return y + 1


def unset_and_read(x: Any) -> Any:
    y = x.new_empty(2, 3)  # here
    y[:, 0] = 1
    return x + y


CASES = (
    written_through_a_view, copied_into_a_view, written_to_data, overwritten, overwritten_by_index,
    overwritten_in_part, overwritten_by_mask, overwritten_with_itself, read_by_what_overwrites_it,
    complex_on_the_way, complex_to_real, made_by_a_complex_operation, unset_with_out, unset_in_parts,
    unset_and_read,
)  # fmt: skip


@pytest.mark.parametrize("function", CASES)
def test_the_line_that_makes_nan_is_named(function: Callable[[Any], Any], unset_memory_is_nan: None) -> None:
    lines, first = inspect.getsourcelines(function)
    line = next(number for number, text in enumerate(lines, start=first) if text.endswith("# here\n"))
    maker = first_maker_in(Function(function))
    assert f"test_nonfinite_maker.py:{line} in" in maker
    assert maker.endswith("is the first to make NaN")


@pytest.mark.parametrize("make", [lambda x: torch.complex(x / 0, x), lambda x: torch.complex(x, x / 0)])
def test_an_infinite_part_of_a_complex_number_counts(make: Callable[[Any], Any]) -> None:
    model = Function(lambda x: make(x).conj().abs())
    with torch.no_grad():
        assert "div at" in find_first_maker(model, lambda: model(X), "Inf")


@pytest.mark.filterwarnings("ignore:`torch.jit.trace")
def test_who_takes_nan_that_nothing_recorded_made_is_not_called_its_maker() -> None:
    def outside_of_torch(x: Any) -> Any:
        with np.errstate(invalid="ignore"):
            return torch.from_numpy(np.log(-x.numpy())) + 1

    assert _takes_unrecorded(first_maker_in(Function(outside_of_torch)), "add")
    make: Any = torch.jit.trace
    scripted = make(Function(lambda x: torch.log(-x)), X, check_trace=False)
    assert _takes_unrecorded(first_maker_in(nn.Sequential(scripted, Function(lambda x: x + 1))), "add")


def _takes_unrecorded(maker: str, operation: str) -> bool:
    end = "takes NaN, and what made it was not recorded"
    return maker.startswith(f"{operation} at ") and maker.endswith(end)


@pytest.mark.parametrize(
    "copy_of",
    [
        lambda x: x.contiguous(), lambda x: x.clone(), lambda x: x.to(torch.float32), lambda x: x.detach(),
        lambda x: x.reshape(2, 3), lambda x: x.float(), lambda x: nn.functional.dropout(x, training=False),
    ],
)  # fmt: skip
def test_a_copy_is_not_blamed(copy_of: Callable[[Any], Any]) -> None:
    def written_by_numpy(x: Any) -> Any:
        y = x * 1
        with np.errstate(invalid="ignore"):
            y.numpy()[...] = np.log(-x.numpy())
        return copy_of(y)

    maker = first_maker_in(Function(written_by_numpy))
    assert maker == "" or _takes_unrecorded(maker, maker.partition(" ")[0]), maker


def test_a_module_that_returns_its_input_does_not_hide_the_maker() -> None:
    layers = nn.Sequential(Function(lambda x: torch.log(-x)), nn.Identity(), Function(lambda x: x + 1))
    assert "log at" in first_maker_in(layers)


def test_a_parameter_is_named_through_a_view_of_it() -> None:
    layer = nn.Linear(3, 3)
    with torch.no_grad():
        layer.weight[1, 1] = torch.nan
    assert first_maker_in(layer) == "weight holds NaN, and the model itself (Linear) takes it"
    rows = nn.Sequential(layer, Function(lambda x: x + layer.weight[1:, 1:2].sum()))
    assert first_maker_in(rows).startswith("0.weight holds NaN, and 0 (Linear) takes it")


class Buffer(nn.Module):
    """Changes its buffer in place on each call."""

    def __init__(self, number: float, change: Callable[[Any], Any]) -> None:
        super().__init__()
        self.register_buffer("b", torch.tensor([number]))
        self.change = change

    def forward(self, x: Any) -> Any:
        return x + self.change(self.b)


@pytest.mark.parametrize(
    "change", [lambda b: b.div_(0), lambda b: torch.log(-b - 1, out=b), lambda b: b.data.div_(0)]
)
def test_a_buffer_that_an_operation_spoils_is_not_to_blame(change: Callable[[Any], Any]) -> None:
    maker = first_maker_in(Buffer(0.0, change))
    assert "holds" not in maker
    assert maker.endswith("in the model itself (Buffer) is the first to make NaN")


def test_a_buffer_that_holds_nan_is_named_where_it_is_changed_in_place() -> None:
    maker = first_maker_in(Buffer(torch.nan, lambda b: b.mul_(2)))
    assert maker == "b holds NaN, and the model itself (Buffer) takes it"


@pytest.mark.parametrize("average", [1.0, torch.nan])
def test_running_averages_are_not_read_in_training(average: float) -> None:
    norm = nn.BatchNorm1d(3).train()
    norm.get_buffer("running_var").fill_(average)
    assert (
        first_maker_in(norm, X / 0) == "batch_norm in the model itself (BatchNorm1d) is the first to make NaN"
    )


def test_running_averages_that_are_not_the_modules_hide_no_maker() -> None:
    def normed(x: Any) -> Any:
        return nn.functional.batch_norm(torch.log(-x), torch.zeros(3), torch.ones(3), training=True)

    assert first_maker_in(Function(normed)).startswith("log at")
