"""The memory of a spread model does not depend on how soon gloo's threads let go of a message."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from gptrace.model.quiet_torch import torch
from gptrace.record import Mesh
from gptrace.tracing.spread.layout import Layout
from gptrace.tracing.spread.memory import SpreadMemory

_LAYOUT = Layout(Mesh({}, 0, {}, False, "gloo", ""), {}, ("tp",), is_fake=False, gathers=False)
_BYTES = 400


class Thread(threading.Thread):
    """A thread that lets go of what it `holds` a moment after it has started, as gloo's do."""

    def __init__(self) -> None:
        super().__init__()
        self.holds: list[torch.Tensor] = []

    def run(self) -> None:
        time.sleep(0.05)
        self.holds.clear()


class Collective:
    """A kernel of torch.distributed that leaves its tensors to a thread, and returns what it receives."""

    def __init__(self, kernel: Any) -> None:
        self.namespace, self._schema = kernel.namespace, kernel._schema
        self.thread = Thread()

    def __call__(self, *args: Any) -> torch.Tensor:
        tensors = [value for value in args if isinstance(value, torch.Tensor)]
        received = tensors[0] if self.namespace == "c10d" else message()
        self.thread.holds += {id(tensor): tensor for tensor in (received, *tensors)}.values()
        return received


@pytest.fixture
def memory() -> SpreadMemory:
    return SpreadMemory(torch.nn.Identity(), lambda alive: None, _LAYOUT)


def message() -> torch.Tensor:
    return torch.ones(_BYTES // 4)


def counted(memory: SpreadMemory) -> torch.Tensor:
    tensor = message()
    memory.add(tensor, ())
    return tensor


def test_what_was_sent_is_free_when_the_thread_lets_go(memory: SpreadMemory) -> None:
    sent, received = counted(memory), counted(memory)
    gather = Collective(torch.ops.c10d._allgather_base_.default)
    memory.run_collective(gather, (received, sent, None, False), {})
    del sent
    assert memory.alive == 2 * _BYTES
    gather.thread.start()
    assert memory.settled() == _BYTES
    assert received.sum() == _BYTES // 4


def test_what_was_received_is_free_when_the_thread_lets_go(memory: SpreadMemory) -> None:
    for _ in range(2):  # whoever waits in vain for a tensor of the model does not wait again
        sent = counted(memory)
        gather = Collective(torch.ops._c10d_functional.all_gather_into_tensor.default)
        received = memory.run_collective(gather, (sent, 1, None), {})
        view = received.view(-1)
        memory.add(view, (received,))
        assert memory.settled() == 2 * _BYTES  # nothing has arrived
        memory.note_arrival([received])
        gather.thread.start()
        assert memory.settled() == 2 * _BYTES  # both are the model's
        del sent, received
        assert memory.alive == _BYTES
        del view
        assert memory.alive == 0


def test_an_input_of_a_kernel_is_not_waited_for(memory: SpreadMemory) -> None:
    sent = counted(memory)
    gather = Collective(torch.ops._c10d_functional.all_gather_into_tensor.default)
    received = memory.run_collective(gather, (sent, 1, None), {})
    memory.note_arrival([received])
    memory.add(message(), (received, [sent]))  # would it wait, it would give up, and not wait again
    del sent, received
    gather.thread.start()
    assert memory.settled() == 0


def test_what_is_kept_for_ever_is_counted(memory: SpreadMemory) -> None:
    gather = Collective(torch.ops._c10d_functional.all_gather_into_tensor.default)
    for _ in range(100):  # the wait is not repeated
        memory.note_arrival([memory.run_collective(gather, (message(), 1, None), {})])
        assert memory.settled() == len(gather.thread.holds) // 2 * _BYTES
