"""Peak memory of activations."""

from __future__ import annotations

import subprocess
from typing import Any

import numpy as np
import pytest

import gptrace
from gptrace.model.quiet_torch import torch
from gptrace.tracing.activation_memory import shares_memory
from tests.models.toys import Function
from tests.support import environment, measured
from tests.warm import warm_python

nn = torch.nn


def test_activations_are_counted_while_they_live() -> None:
    class Grows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(10, 1000, bias=False), nn.Linear(1000, 10, bias=False)

        def forward(self, x: Any) -> Any:
            return self.second(self.first(x))

    x = torch.zeros(25, 10)
    trace = measured(Grows(), x, measure="memory")
    wide, narrow = 25 * 1000 * 4, 25 * 10 * 4
    assert [call.peak_bytes for call in trace.calls] == [wide + narrow, wide, wide + narrow]
    assert trace.totals.peak_bytes == wide + narrow
    views = measured(Function(lambda x: x.view(-1)[None].t()), x, measure="memory")
    assert views.totals.peak_bytes == 0
    on_meta = measured(Grows().to("meta"), x.to("meta"), measure="memory")
    assert on_meta.totals.peak_bytes == wide + narrow


def test_numbers_of_python_take_memory_and_those_of_an_array_have_theirs() -> None:
    numbers, shared = [1.0] * 1000, bytearray(4000)
    x = torch.zeros(1)
    for make, size in [
        (lambda x: torch.tensor(numbers), 4000),
        (lambda x: torch.tensor(numbers) + 1, 8000),
        (lambda x: x.new_tensor(numbers), 4000),
        (lambda x: torch.frombuffer(shared, dtype=torch.float32), 0),
        (lambda x: torch.as_tensor(np.ones(1000)), 0),
    ]:
        assert measured(Function(make), x, measure="memory").totals.peak_bytes == size


def test_what_is_written_where_the_caller_says_is_no_new_memory() -> None:
    buffer, x = torch.empty(1000), torch.ones(1000)
    with torch.no_grad():
        module = Function(lambda x: torch.add(x, 1, out=buffer))
        with gptrace.watch(module, measure=["memory", "ops"]) as trace:
            module(x)
        assert trace.totals.peak_bytes == 0
        module = Function(lambda x: torch.transpose(input=x, dim0=0, dim1=1))
        with gptrace.watch(module, measure="ops") as trace:
            module(torch.ones(2, 3))
    assert [op.is_view for op in trace.calls[0].ops] == [True]


def test_the_memory_of_replaced_parameters_is_counted_when_it_is_used_again() -> None:
    class Doubles(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scales = nn.ParameterList(torch.ones(8) for _ in range(20))

        def forward(self, x: Any) -> Any:
            for scale in self.scales:
                scale.data = scale.data * 2
            return torch.stack([x + number for number in range(20)])

    model, x = Doubles(), torch.zeros(1 << 10)
    for _ in range(4):
        peak = measured(model, x, measure="memory").totals.peak_bytes
        assert peak is not None
        assert 2 * 20 * 4096 <= peak <= 2 * 20 * 4096 + 20 * 32  # and, at most, the doubled scales


def test_sharing_memory() -> None:
    x = torch.ones(2, 3)
    assert shares_memory(x[0], [None, 1, torch.ones(2), x])
    assert not shares_memory(x + 1, [x, torch.ones(2).to_sparse(), torch.ones(2, device="meta")])
    assert not shares_memory(torch.ones(2).to_sparse(), [x])


@pytest.mark.processes
def test_the_peak_on_device_meta_does_not_depend_on_the_garbage_collector() -> None:
    # In a process of its own: what the first trace on this device imports may keep its activations alive.
    code = """
import gc
import gptrace
gc.disable()
session = gptrace.Session("tiny", device="meta")
for _ in range(3):
    print(session.trace("Hello, I am", measure=["memory"]).totals.peak_bytes)
    gc.enable()
"""
    finished = subprocess.run(
        [*warm_python(), "-c", code], env=environment(), capture_output=True, check=True
    )
    first, second, third = finished.stdout.split()
    assert first == second == third


def test_memory_that_a_tensor_gets_later_is_counted() -> None:
    def grow(x: Any) -> Any:
        product, joined = torch.empty(0), torch.empty(0)
        torch.mul(x, 2, out=product)
        torch.cat([x, x, x], out=joined)
        del joined
        return torch.empty(1).resize_(1000)

    x = torch.ones(100)
    with torch.no_grad():
        assert measured(Function(grow), x, measure="memory").totals.peak_bytes == 400 + 4000
        on_meta = measured(Function(lambda x: x.new_empty(0).resize_(50)), x.to("meta"), measure="memory")
    assert on_meta.totals.peak_bytes == 200
