"""Traces in several threads."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress

import pytest

import gptrace
from gptrace.model import GPTModel
from gptrace.model.interrupts import interrupts_held
from gptrace.model.quiet_torch import torch
from gptrace.model.random_state import exclusive_random_state, kept_random_state
from gptrace.tracing.isolation import isolated_run
from gptrace.tracing.one_at_a_time import one_at_a_time
from gptrace.tracing.recursion_room import recursion_room
from tests.support import HANG_TIMEOUT, IDS

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


class Meeting(nn.Module):
    """Notes when two threads are in its forward pass at once."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(50257, 4)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, 50257)
        self.barrier = threading.Barrier(2)
        self.met: list[int] = []

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        try:
            self.barrier.wait(timeout=0.2)
            self.met.append(threading.get_ident())
        except threading.BrokenBarrierError:
            pass
        logits: torch.Tensor = self.head(self.drop(self.emb(ids)))
        return logits


def test_a_module_is_run_by_one_thread_at_a_time_and_left_in_training_mode() -> None:
    model = Meeting()
    attributes = [sorted(vars(module)) for module in model.modules()]
    session, results, failures = gptrace.Session(model), list[int](), list[BaseException]()

    def work(ask: Callable[[], int]) -> None:
        try:
            results.append(ask())
        except BaseException as error:
            failures.append(error)

    asks: list[Callable[[], int]] = [
        lambda: len(session.trace("Hi").calls),
        lambda: len(session.topk("Hi", k=4).results[0].candidates),
        lambda: len(gptrace.trace("Hi", model=model).calls),
    ]
    threads = [threading.Thread(target=work, args=(ask,)) for ask in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert results == [4, 4, 4]
    assert not model.met
    assert all(module.training for module in model.modules())
    assert [sorted(vars(module)) for module in model.modules()] == attributes


def test_ctrl_c_ends_the_wait_for_a_module() -> None:
    module = nn.Linear(1, 1)
    is_taken, is_wanted, may_end = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        with one_at_a_time(module):
            is_taken.set()
            is_wanted.wait(30)
            os.kill(os.getpid(), signal.SIGINT)
            may_end.wait(30)

    def wait_for_it() -> None:
        with interrupts_held():
            is_wanted.set()
            with one_at_a_time(module):
                pytest.fail("two threads have it")

    thread = threading.Thread(target=hold)
    thread.start()
    is_taken.wait(30)
    with pytest.raises(KeyboardInterrupt):
        wait_for_it()
    may_end.set()
    thread.join()
    with one_at_a_time(module):
        pass


def exit_code_of_child(work: Callable[[], bool]) -> int:
    """Fork, and return 0 if `work` is true in the child; -9 if it hangs."""
    child = os.fork()
    if not child:
        with suppress(BaseException):
            os._exit(0 if work() else 1)
        os._exit(2)
    for _ in range(10 * HANG_TIMEOUT):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


LAYER = nn.Linear(2, 2)
SESSION = gptrace.Session("tiny")
BLOCKS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "isolated run": isolated_run,
    "exclusive random state": exclusive_random_state,
    "kept random state": kept_random_state,
    "recursion room": recursion_room,
    "one at a time": lambda: one_at_a_time(LAYER),
    "watch": lambda: gptrace.watch(LAYER),
    "load": lambda: SESSION._lock,
}


def state_of_the_process() -> tuple[object, ...]:
    return (torch.get_rng_state().tolist(), sys.getrecursionlimit(), sys.stdout, sys.stderr, [*vars(LAYER)])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("name", BLOCKS)
def test_a_forked_child_is_without_the_blocks_of_other_threads(name: str) -> None:
    block = BLOCKS[name]
    before = state_of_the_process()
    has_begun, may_end = threading.Event(), threading.Event()

    def stay_inside() -> None:
        with block():
            if "random" in name:
                torch.rand(1)
            has_begun.set()
            may_end.wait(HANG_TIMEOUT)

    def works_in_child() -> bool:
        is_as_before = state_of_the_process() == before
        with block():
            pass
        return is_as_before and len(SESSION.trace("Hello").calls) > 10 and state_of_the_process() == before

    thread = threading.Thread(target=stay_inside)
    thread.start()
    try:
        assert has_begun.wait(HANG_TIMEOUT)
        assert exit_code_of_child(works_in_child) == 0
    finally:
        may_end.set()
        thread.join()
    assert state_of_the_process() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_stays_in_the_blocks_of_the_thread_that_forked() -> None:
    before = state_of_the_process()

    def leaves_them() -> bool:
        is_inside = sys.getrecursionlimit() != before[1]
        torch.rand(1)
        blocks.close()
        return is_inside and state_of_the_process() == before

    with ExitStack() as blocks:
        blocks.enter_context(exclusive_random_state())
        for name in BLOCKS:
            if name != "load":
                blocks.enter_context(BLOCKS[name]())
        assert exit_code_of_child(leaves_them) == 0
