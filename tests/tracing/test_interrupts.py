"""Ctrl-C at any moment of a call leaves the model, torch and the process as they were."""

from __future__ import annotations

import logging
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import gptrace
from gptrace.model.interrupts import interrupts_allowed, interrupts_held
from gptrace.model.quiet_torch import torch
from gptrace.tracing.recorder import SpanRecorder

nn = torch.nn
OWN_CODE = str(Path(gptrace.__file__).parent)


class Model(nn.Module):
    """Its mode is mixed, and its buffers change in training mode."""

    def __init__(self, vocab_size: int = 50257, emb_dim: int = 4) -> None:
        super().__init__()
        self.emb = nn.Embedding(vocab_size, emb_dim)
        self.norm = nn.BatchNorm1d(emb_dim)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(emb_dim, vocab_size)
        self.calls = 0

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        x = self.norm(self.emb(ids).transpose(1, 2)).transpose(1, 2)
        logits: torch.Tensor = self.head(self.dropout(x))
        return logits


class InterruptAt:
    """A trace function that presses Ctrl-C when the `number`-th function of gptrace begins."""

    def __init__(self, number: int) -> None:
        self.number, self.count = number, 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if frame.f_code.co_filename.startswith(OWN_CODE):
            self.count += 1
            if self.count == self.number:
                signal.raise_signal(signal.SIGINT)


def calls_in(use: Callable[[], object]) -> int:
    counter = InterruptAt(0)
    sys.settrace(counter)
    try:
        use()
    finally:
        sys.settrace(None)
    return counter.count


def state_of(model: Model) -> dict[str, Any]:
    return {
        "modes": [module.training for module in model.modules()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
        "buffers": [buffer.tolist() for buffer in model.buffers()],
        "calls": model.calls,
        "grad": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "random": (torch.get_rng_state().tolist(), random.getstate()),
        "stacks": (torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack()),
        "device": torch.get_default_device(),
        "streams": (sys.stdout, sys.stderr),
        "logging": (logging.root.manager.disable, logging.Logger.callHandlers),
        "warnings": warnings._showwarnmsg,  # type: ignore[attr-defined]
        "recorders": sum(map(len, SpanRecorder._active.values())),
        "handler": signal.getsignal(signal.SIGINT),
    }


@pytest.mark.parametrize("command", ["trace", "topk", "generate"])
def test_an_interrupt_at_any_moment_changes_nothing(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ignored: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda raised: ignored.append(raised.exc_type))
    model = Model().train()
    model.norm.eval()
    session = gptrace.Session(model)
    uses: dict[str, Callable[[], object]] = {
        "trace": lambda: session.trace("Hi", measure=["all"]),
        "topk": lambda: session.topk("Hi"),
        "generate": lambda: session.generate("Hi", max_new_tokens=2),
    }
    use = uses[command]
    use()
    moments = calls_in(use)
    for number in random.Random(0).sample(range(1, moments + 1), 30):
        before = state_of(model)
        sys.settrace(InterruptAt(number))
        try:
            use()
        except KeyboardInterrupt:
            pass
        else:  # Python ignores what is raised while it frees an object
            assert ignored.pop() is KeyboardInterrupt
        finally:
            sys.settrace(None)
        after = state_of(model)
        assert [name for name in before if before[name] != after[name]] == [], f"at call {number}"


def test_an_interrupt_waits_while_it_is_held_and_acts_where_it_is_allowed() -> None:
    handler = signal.getsignal(signal.SIGINT)
    seen: list[str] = []

    def interrupted() -> None:
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            seen.append("held")
            try:
                with interrupts_allowed():
                    seen.append("never")
            finally:
                signal.raise_signal(signal.SIGINT)  # pressed again: it waits, too
                seen.append("put back")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert seen == ["held", "put back"]
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_handler_that_returns_interrupts_nothing() -> None:
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        with interrupts_held(), interrupts_allowed():
            for _ in range(2):
                signal.raise_signal(signal.SIGINT)
        assert pressed == [signal.SIGINT, signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_blocks_may_end_in_another_order() -> None:
    handler = signal.getsignal(signal.SIGINT)
    first, second, allowed = interrupts_held(), interrupts_held(), interrupts_allowed()
    first.__enter__()
    allowed.__enter__()
    second.__enter__()
    first.__exit__()
    signal.raise_signal(signal.SIGINT)  # held by the second
    with pytest.raises(KeyboardInterrupt):
        second.__exit__()
    allowed.__exit__()
    assert signal.getsignal(signal.SIGINT) is handler


def test_whoever_presses_ctrl_c_four_times_need_not_wait() -> None:
    handler = signal.getsignal(signal.SIGINT)
    pressed = 0
    try:
        with interrupts_held():
            for _ in range(4):
                pressed += 1
                signal.raise_signal(signal.SIGINT)
            pressed += 1
    except KeyboardInterrupt:
        pass
    assert pressed == 4
    with interrupts_held():
        pass
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_firm_block_holds_however_often_ctrl_c_is_pressed() -> None:
    """While torch is imported, C code would drop what is raised."""
    handler, pressed = signal.getsignal(signal.SIGINT), 0
    with pytest.raises(KeyboardInterrupt), interrupts_held(), interrupts_held(is_firm=True):  # noqa: PT012
        for _ in range(12):
            signal.raise_signal(signal.SIGINT)
            pressed += 1
    assert pressed == 12
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_block_may_be_closed_by_another_thread() -> None:
    handler = signal.getsignal(signal.SIGINT)
    model = nn.Linear(3, 2)
    watched = gptrace.watch(model)
    watched.__enter__()
    thread = threading.Thread(target=watched.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    with interrupts_held():
        pass
    assert signal.getsignal(signal.SIGINT) is handler


def test_modes_that_torch_lost_in_an_interrupt_are_no_error() -> None:
    # torch takes a mode off its stack while the mode works, and an interrupt may come before it is back.
    model = nn.Linear(3, 2)
    with gptrace.watch(model, measure=["ops", "macs"]) as trace:
        model(torch.ones(1, 3))
        torch._C._pop_torch_function_stack()
        torch._C._pop_torch_dispatch_stack(None)
    assert len(trace.calls) == 1
    assert (torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack()) == (0, 0)
