"""Models that do what nobody expects: no name may be wrong, nothing changed, nothing lost."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import gptrace
from gptrace.model.quiet_torch import torch
from tests.models.user_files import FORWARD_METHODS, module_source
from tests.support import Cli

nn = torch.nn
V = 50257


class Keeps(nn.Module):
    """Makes what it needs when it is first used, and changes what it has."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(V, 4, max_norm=0.1)
        self.head = nn.Linear(4, V)
        self.scale: Any = None
        self.calls = 0
        self.merged = False

    def train(self, mode: bool = True) -> Keeps:
        if mode == self.merged:
            self.merged = not mode
            self.head.weight.data += 1 if self.merged else -1
        return super().train(mode)

    def forward(self, ids: Any) -> Any:
        if self.scale is None:
            self.scale = torch.ones(4)
        self.calls += 1
        return self.head(self.emb(ids) * self.scale)


def test_nothing_stays_behind_in_a_module_of_ones_own() -> None:
    module = Keeps().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    gptrace.topk("Hello", model=module)
    gptrace.trace("Hello", model=module)
    assert (module.training, module.merged, module.scale, module.calls) == (True, False, None, 0)
    for name, value in module.state_dict().items():
        assert torch.allclose(value, before[name], atol=1e-6), name
    module(torch.tensor([[1, 2]])).sum().backward()  # and it can be trained


def test_a_factory_that_returns_what_is_there_already() -> None:
    module = nn.Sequential(nn.Embedding(V, 16), nn.Linear(16, V)).to(torch.bfloat16).train()

    def make(n_embd: int = 16, vocab_size: int = V) -> nn.Module:
        return module

    trace = gptrace.trace("Hello", model=make)
    assert trace.dims == {"batch": 1, "seq_len": 1}
    assert module.training
    assert module[0].weight.dtype == torch.bfloat16


def test_what_is_compiled_is_traced_as_it_was_written() -> None:
    layers = nn.Sequential(nn.Embedding(V, 8), nn.Linear(8, V))
    plain = gptrace.trace("Hello", model=layers)
    whole = gptrace.trace("Hello", model=torch.compile(layers, backend="eager"))
    assert [call.path for call in whole.calls] == ["", "_orig_mod", "_orig_mod.0", "_orig_mod.1"]
    assert whole.predictions == plain.predictions
    assert "compiled modules run uncompiled while they are traced: the model itself" in whole.notes
    layers[1].compile(backend="eager")
    part = gptrace.trace("Hello", model=layers)
    assert [call.path for call in part.calls] == ["", "0", "1"]
    assert "compiled modules run uncompiled while they are traced: 1" in part.notes
    assert layers(torch.tensor([[1]])).shape == (1, 1, V)


def test_scripted_and_quantised_modules_are_opaque_and_run() -> None:
    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.emb, self.head = nn.Embedding(V, 4), nn.Linear(4, V)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.head(self.emb(ids))
            return logits

    scripted: Any = _scripted(Inner())
    assert len(gptrace.topk(ids=[1, 2], model=scripted).results[0].candidates) == 5
    trace = gptrace.trace(ids=[1, 2], model=scripted)
    assert trace.calls[0].outputs[0].shape == (1, 2, V)
    assert trace.uncalled == ()


def _scripted(module: nn.Module) -> object:
    make: Any = torch.jit.trace
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has plans to part with it
        return make(module, torch.tensor([[1, 2]]))


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in FORWARD_METHODS:
        (tmp_path / f"odd_{name}.py").write_text(module_source(name))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("leaves", ["SystemExit: bye", "odd_leaves.py, line 15, in forward"]),
        ("raises", ["Odd: no", "odd_raises.py, line 16"]),
        ("parses", ["JSONDecodeError", "odd_parses.py, line 15, in forward"]),
    ],
)
def test_whatever_it_raises_is_shown_with_its_line(cli: Cli, odd: Path, name: str, parts: list[str]) -> None:
    traced = cli("run", "Hello", "-m", f"odd_{name}.py:M")
    traced.is_error(1, "the forward pass raised", shows="raised in the model itself")
    assert [part for part in parts if part not in traced.out] == []
    cli("topk", "Hello", "-m", f"odd_{name}.py:M").is_error(1, *parts)


@pytest.mark.parametrize(
    ("name", "texts", "reason"),
    [
        ("hidden", ["Hello"], "the output is [batch, seq_len, n_embd], no [batch, seq_len, V]"),
        ("complex", ["Hello"], f"the output [1, 1, {V}] is complex64, not floating point"),
        ("turned", ["Hello you", "And me"], "the output is [seq_len, batch, vocab_size], no [batch"),
    ],
)
def test_what_is_no_logits_is_not_read_as_such(
    cli: Cli, odd: Path, name: str, texts: list[str], reason: str
) -> None:
    trace = json.loads(cli("run", *texts, "-m", f"odd_{name}.py:M", "--json").out)
    assert trace["predictions"] == []
    assert trace["notes"][-1].startswith(f"no next tokens: {reason}")


@pytest.mark.parametrize("name", ["pooled", "named", "gradient"])
def test_logits_are_found_beside_others(odd: Path, name: str) -> None:
    trace = gptrace.trace("Hello, I am", model=f"odd_{name}.py:M")
    assert len(trace.predictions[0].candidates) == 5
    assert trace.predictions[0].candidates[0].logit != 0


def test_random_numbers_are_seeded_right_before_the_call(odd: Path) -> None:
    (odd / "odd_draws.py").write_text("import torch\ntorch.rand(1000)\n" + module_source("plain"))
    torch.manual_seed(123)
    sys.path.insert(0, str(odd))
    first = gptrace.trace("Hello", model="odd_draws.py:M").predictions
    assert [c.token for c in first[0].candidates] == [
        c.token for c in gptrace.trace("Hello", model="odd_plain.py:M").predictions[0].candidates
    ]


def test_a_file_with_the_name_of_a_library(cli: Cli, odd: Path) -> None:
    for name in ("transformers", "random", "tiktoken"):
        (odd / f"{name}.py").write_text(module_source("plain"))
        assert cli("topk", "--ids", "1", "-m", f"{name}.py:M", "--json").code == 0
    assert not hasattr(sys.modules["random"], "M")


def test_code_that_leaves_the_folder(cli: Cli, odd: Path) -> None:
    (odd / "odd_moves.py").write_text("import os\nos.chdir('/')\n" + module_source("plain"))
    (odd / "sizes.json").write_text('{"n_embd": 6}')
    outcome = cli("topk", "Hello", "-m", "odd_moves.py:M", "--config", "sizes.json", "-o", "out.json")
    assert (outcome.code, outcome.err) == (0, "")
    assert (odd / "out.json").exists()


def test_code_that_keeps_printing_soils_no_data(process: Cli, tmp_path: Path) -> None:
    (tmp_path / "ticks.py").write_text(
        "import sys, threading, time\n"
        "def tick():\n    while True:\n"
        "        print('tick'); sys.__stdout__.write('tock'); time.sleep(0.001)\n"
        "threading.Thread(target=tick, daemon=True).start()\n" + module_source("plain")
    )
    outcome = process("topk", "Hello", "-m", "ticks.py:M", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["results"]
    assert "tick" in outcome.err


def test_a_module_that_is_there_has_shapes_alone_on_device_meta(odd: Path, cli: Cli) -> None:
    (odd / "odd_there.py").write_text(module_source("plain") + "\nmodule = M()\n")
    trace = json.loads(cli("run", "Hello", "-m", "odd_there.py:module", "--device", "meta", "--json").out)
    assert (trace["predictions"], trace["model"]["device"]) == ([], "meta")


@pytest.mark.parametrize("command", ["topk", "check"])
def test_a_module_on_device_meta_has_no_numbers(command: str, odd: Path, cli: Cli) -> None:
    (odd / "odd_meta.py").write_text(module_source("plain") + "\nmodule = M().to('meta')\n")
    cli(command, "-m", "odd_meta.py:module", stdin=b"Hi").is_error(2, "module holds tensors on device meta")
