"""Runs at other sizes, beside other threads."""

from __future__ import annotations

import gc
import logging
import random
import sys
import threading
import warnings
import weakref
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from gptrace.model import GPTModel
from gptrace.model.quiet_torch import torch
from gptrace.model.random_state import exclusive_random_state, kept_random_state
from gptrace.tracing.isolation import WorkLimitError, isolated_run, work_limit
from gptrace.tracing.undisturbed import undisturbed_evaluation


def in_thread(work: Callable[[], Any]) -> Any:
    """Run `work` in another thread to its end, and return its result."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join(60)
    return results[0]


def test_other_threads_are_heard_during_an_isolated_run(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    called: list[str] = []
    handle = torch.nn.modules.module.register_module_forward_hook(
        lambda *_: called.append(threading.current_thread().name)
    )

    def speak(who: str) -> None:
        print(who)
        print(who, file=sys.stderr)
        logging.getLogger("model").error(who)
        warnings.warn(who, stacklevel=1)
        torch.nn.Identity()(torch.ones(1))

    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with isolated_run():
                speak("isolated")
                in_thread(lambda: speak("other"))
            speak("after")
    finally:
        handle.remove()
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("other\nafter\n", "other\nafter\n")
    assert caplog.messages == ["other", "after"]
    assert [str(warning.message) for warning in warned] == ["other", "after"]
    assert len(called) == 2
    assert called[0] != called[1] == threading.current_thread().name


def test_streams_and_logging_are_as_before_in_whatever_order_runs_end() -> None:
    before = sys.stdout, sys.stderr, logging.Logger.callHandlers, logging.root.manager.disable
    inside, outside = threading.Event(), threading.Event()

    def overlap() -> None:
        from gptrace.tracing.isolation import _silence

        with _silence():
            inside.set()
            assert outside.wait(60)

    thread = threading.Thread(target=overlap)
    with isolated_run():
        thread.start()
        assert inside.wait(60)
    outside.set()
    thread.join(60)
    assert before == (sys.stdout, sys.stderr, logging.Logger.callHandlers, logging.root.manager.disable)


def test_a_stream_that_was_replaced_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    mine = StringIO()
    with isolated_run():
        sys.stdout = mine
    assert sys.stdout is mine


def test_a_stand_in_outlives_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """CPython's `print` would crash in a thread that still writes to a stream which nothing else holds."""
    monkeypatch.setattr(sys, "stdout", StringIO())
    stand_ins = []
    for _ in range(3):
        with isolated_run():
            stand_ins.append(weakref.ref(sys.stdout))
    gc.collect()
    assert stand_ins[0]() is stand_ins[1]() is stand_ins[2]() is not None


def test_random_numbers_are_as_before_in_whatever_order_blocks_end(tiny: GPTModel) -> None:
    """Two overlapping evaluations that draw, of which the first to begin is the first to end."""
    torch.manual_seed(7)
    random.seed(7)
    before = torch.get_rng_state(), random.getstate()
    second_began, first_ended = threading.Event(), threading.Event()

    def second() -> None:
        with undisturbed_evaluation(torch.nn.Identity()):
            second_began.set()
            assert first_ended.wait(60)

    thread = threading.Thread(target=second)
    with undisturbed_evaluation(tiny):
        torch.rand(3)
        thread.start()
        assert second_began.wait(60)
    first_ended.set()
    thread.join(60)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()


def test_a_seeded_block_has_the_random_numbers_for_itself() -> None:
    began = threading.Event()

    def evaluate() -> None:
        began.set()
        with kept_random_state():
            torch.rand(1000)

    thread = threading.Thread(target=evaluate)
    with exclusive_random_state():
        torch.manual_seed(3)
        thread.start()
        assert began.wait(60)
        drawn = torch.rand(5)
    thread.join(60)
    generator = torch.Generator().manual_seed(3)
    assert torch.equal(drawn, torch.rand(5, generator=generator))


def test_the_limit_is_on_lines_and_the_same_each_time() -> None:
    def count_up(counted: list[int]) -> None:
        while True:
            try:
                counted[0] += 1
            except Exception:  # the code of a model may go on after any exception that it knows
                counted[0] = -1

    counts = []
    for _ in range(2):
        counted = [0]
        with pytest.raises(WorkLimitError), work_limit(3000):
            count_up(counted)
        counts.append(counted[0])
    assert counts[0] == counts[1]
    assert 900 < counts[0] < 3000


def test_imports_are_no_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "large_library.py").write_text(
        "def fill():\n    for each in range(999):\n        each\nfill()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with work_limit(100) as left:
        import large_library  # type: ignore[import-not-found]

    assert left[0] > 0
    with pytest.raises(WorkLimitError), work_limit(100):
        large_library.fill()
