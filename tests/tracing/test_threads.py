"""Traces in several threads."""

from __future__ import annotations

import logging
import sys
import threading
import warnings

import gptrace
from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from tests.support import IDS

nn = torch.nn


def test_two_threads_that_watch_one_module_see_each_its_own() -> None:
    layers = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    barrier, traces = threading.Barrier(2), {}

    def work(rows: int) -> None:
        with gptrace.watch(layers) as trace:
            barrier.wait()
            for _ in range(50):
                layers(torch.ones(rows, 3))
            barrier.wait()
        traces[rows] = trace

    threads = [threading.Thread(target=work, args=(rows,)) for rows in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for batch, trace in traces.items():
        assert len(trace.calls) == 150
        assert {spec.shape[0] for call in trace.calls for spec in call.inputs} == {batch}


def test_other_threads_and_backward_passes_are_said_to_be_uncounted() -> None:
    layer = nn.Linear(4, 4)
    with gptrace.watch(layer, measure=["macs"]) as trace:
        thread = threading.Thread(target=lambda: layer(torch.ones(1, 4)))
        thread.start()
        thread.join()
        layer(torch.ones(1, 4)).sum().backward()
    assert [call.cost and (call.cost.macs, call.cost.unknown) for call in trace.calls] == [
        (0, ("another thread",)), (16, ()),
    ]  # fmt: skip
    assert trace.notes == ("16 more MACs ran outside of any call, for example in a backward pass",)


def test_two_traces_in_two_threads_and_one_inside_another(tiny: GPTModel) -> None:
    other = nn.Sequential(nn.Linear(2, 2))
    with gptrace.watch(tiny) as outer, torch.no_grad():
        thread_trace: list[gptrace.Trace] = []

        def work() -> None:
            with gptrace.watch(other) as trace:
                other(torch.ones(1, 2))
            thread_trace.append(trace)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        with gptrace.watch(tiny) as inner:
            tiny(IDS)
        tiny(IDS)
    assert thread_trace[0].totals.calls == 2
    assert inner.totals.calls * 2 == outer.totals.calls


def test_one_module_in_several_threads() -> None:
    model = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(4)))
    with gptrace.watch(model) as trace:
        threads = [
            threading.Thread(target=lambda: [model(torch.ones(2, 4)) for _ in range(20)]) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert trace.totals.calls == 80 * 13
    assert sum(call.parent is None for call in trace.calls) == 80
    assert not any(call.failed for call in trace.calls)
    assert all(call.outputs for call in trace.calls)
    assert max(call.depth for call in trace.calls) == 2


def test_traces_in_threads_leave_the_process_as_it_was() -> None:
    """Each thread has another model, so each runs it at other sizes, beside the other threads."""
    torch.manual_seed(11)
    before = sys.stdout, sys.stderr, logging.root.manager.disable, list(warnings.filters)
    random_state, failures = torch.get_rng_state(), list[BaseException]()

    def trace(width: int) -> None:
        try:
            gptrace.trace("Hi", model="tiny", config={"emb_dim": width, "n_heads": 2})
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=trace, args=(width,)) for width in (10, 18, 26, 34)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert before == (sys.stdout, sys.stderr, logging.root.manager.disable, list(warnings.filters))
    assert torch.equal(random_state, torch.get_rng_state())
