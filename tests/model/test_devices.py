"""Devices are those that torch has here; a clock waits for them, and their random numbers are put back."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

import gptrace
from gptrace.errors import DeviceError, MemoryNeededError
from gptrace.model import devices
from gptrace.model.quiet_torch import torch
from gptrace.model.random_state import exclusive_random_state
from tests.models.toys import Small
from tests.support import HANG_TIMEOUT, Cli, environment
from tests.warm import warm_python


@pytest.mark.parametrize(
    "name", ["cuda:7", "xpu", "hpu", "npu:3", "cpu:1", "cpu:256", "cuda:99999", "privateuseone"]
)
def test_a_device_that_is_not_here_is_an_error_that_says_which_are(name: str, cli: Cli) -> None:
    outcome = cli("topk", "Hello", "-m", "tiny", "--device", name)
    assert outcome.code == 2
    known = f"error: this machine has no device '{name}'\nhint: it has: cpu, meta"
    assert known in outcome.err or f"error: '{name}' is not a device\nhint: it has: cpu, meta" in outcome.err


@pytest.mark.parametrize("name", ["foo", "cuda:", "cuda:-1", "cuda:1:2", "", "meta:x", "cuda 0"])
def test_a_text_that_names_no_device_is_an_error_before_torch_is_loaded(name: str) -> None:
    with pytest.raises(DeviceError, match="is not a device"):
        gptrace.Session("tiny", device=name)


def test_numbers_of_the_cpu_and_of_meta_are_left_out(cli: Cli) -> None:
    assert "in float32 on cpu" in cli("topk", "Hello", "-m", "tiny", "--device", "cpu:0").out
    cli("topk", "Hello", "-m", "tiny", "--device", "meta:0").is_error(
        2, "device meta has shapes, but no numbers"
    )
    assert "on meta" in cli("run", "Hello", "-m", "tiny", "--device", "meta:0").out


@pytest.fixture
def two_xpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch say that there are two XPUs; nothing can be computed on them."""
    monkeypatch.setattr(torch.xpu, "is_available", lambda: True)
    monkeypatch.setattr(torch.xpu, "device_count", lambda: 2)


def test_torch_is_asked_which_devices_are_here(two_xpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.find_device("xpu:1") == torch.device("xpu", 1)
    with pytest.raises(DeviceError, match="no device 'xpu:2'") as error:
        devices.find_device("xpu:2")
    assert error.value.hint == "it has: cpu, meta, xpu:0, xpu:1; --device auto picks one"
    assert devices.find_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: torch.device("xpu"))
    assert devices.find_device("auto") == torch.device("xpu")


def _raising(error: Exception) -> Callable[..., Any]:
    def move(*arguments: object, **options: object) -> None:
        raise error

    return move


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, RuntimeError])
def test_a_device_without_room_is_an_error_with_a_hint(
    kind: type[Exception], two_xpus: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = kind("XPU out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 16.00 GiB")
    monkeypatch.setattr(torch.nn.Module, "to", _raising(error))
    with pytest.raises(MemoryNeededError, match=r"for tiny on xpu: it needs 18\.6 MiB") as raised:
        gptrace.topk("Hello", model="tiny", device="xpu")
    assert "--device meta" in raised.value.hint
    with pytest.raises(MemoryNeededError, match="for Small on xpu"):
        gptrace.topk("Hello", model=Small, device="xpu")


def test_a_device_that_refuses_a_model_is_an_error(two_xpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.Module, "to", _raising(NotImplementedError("no kernel for\nXPU")))
    with pytest.raises(DeviceError, match="tiny cannot be put on xpu: no kernel for XPU"):
        gptrace.topk("Hello", model="tiny", device="xpu")


def test_the_clock_waits_for_the_device_at_both_ends_of_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    accelerator, model = torch.device("xpu", 0), Small()
    waits: list[torch.device] = []
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(devices, "computing_devices", lambda _: [torch.device("cpu"), accelerator])
    monkeypatch.setattr(torch.accelerator, "synchronize", waits.append)
    with gptrace.watch(model) as trace, torch.no_grad():
        model(torch.tensor([[1, 2]]))
    assert waits == [accelerator] * 2 * len(trace.calls)
    # To wait while a graph is captured would spoil it.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with gptrace.watch(model), torch.no_grad():
        model(torch.tensor([[1, 2]]))
    assert len(waits) == 2 * len(trace.calls)


def test_random_numbers_of_a_device_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"xpu:1": 7}
    monkeypatch.setattr(torch.xpu, "get_rng_state", lambda device: states[str(device)])
    monkeypatch.setattr(torch.xpu, "set_rng_state", lambda state, device: states.update({str(device): state}))
    with exclusive_random_state([torch.device("xpu", 1)]):
        states["xpu:1"] = 8
    assert states == {"xpu:1": 7}


def test_other_devices_may_lack_float64() -> None:
    found = {kind: devices.computes_float64(torch.device(kind)) for kind in ("cpu", "cuda", "xpu", "mps")}
    assert found == {"cpu": True, "cuda": True, "xpu": False, "mps": False}


_PACKAGE = """
import sys, torch, types
backend = types.ModuleType("torch.maker")
backend.is_available, backend.device_count = (lambda: True), (lambda: 1)
torch.utils.rename_privateuse1_backend("maker")
torch._register_device_module("maker", backend)
from gptrace.cli.main import main
codes = [main(["topk", "Hello", "-m", "tiny", "--device", name]) for name in ("maker:1", "maker")]
sys.exit(codes != [2, 2])
"""


@pytest.mark.processes
def test_a_package_may_add_a_device_of_its_own() -> None:
    outcome = subprocess.run(
        [*warm_python(), "-c", _PACKAGE], env=environment(), capture_output=True, text=True,
        timeout=HANG_TIMEOUT, check=False,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    assert "hint: it has: cpu, meta, maker; --device auto picks one" in outcome.stderr
    assert "error: tiny cannot be put on maker: " in outcome.stderr  # there are no kernels
