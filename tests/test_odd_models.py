"""Models that do what nobody expects: no name may be wrong, nothing changed, nothing lost."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import gptrace
from gptrace.errors import ModelCodeError
from gptrace.model.quiet_torch import torch
from tests.conftest import Outcome

nn = torch.nn
Cli = Callable[..., Outcome]
V = 50257


class Halved(nn.Module):
    """Widths that the first resized run alone would take for others."""

    def __init__(self, cfg: dict[str, int]) -> None:
        super().__init__()
        D = cfg["emb_dim"]
        self.emb = nn.Embedding(cfg["vocab_size"], D)
        self.down = nn.Linear(D, D // 2)
        self.latent = nn.Linear(D, D // 8)
        self.head = nn.Linear(D // 2, cfg["vocab_size"])

    def forward(self, ids: Any) -> Any:
        x = self.emb(ids)
        self.latent(x)
        return self.head(self.down(x))


class Longer(nn.Module):
    """A token in front, as many models have: one axis is seq_len + 1."""

    def __init__(self, emb_dim: int = 16, n_heads: int = 2, vocab_size: int = V) -> None:
        super().__init__()
        self.emb = nn.Embedding(vocab_size, emb_dim)
        self.mix = nn.Linear(emb_dim, emb_dim)
        self.shifted = nn.Linear(emb_dim, vocab_size)

    def forward(self, ids: Any) -> Any:
        x = self.emb(ids)
        x = self.mix(torch.cat([x[:, :1], x], 1))
        return self.shifted(x[:, 1:])


def dims(trace: gptrace.Trace, path: str) -> list[tuple[str, ...]]:
    call = next(call for call in trace.calls if call.path == path)
    return [spec.dims for spec in (*call.inputs, *call.outputs)]


@pytest.mark.parametrize("width", [24, 34, 128, 136, 256, 384, 536])
@pytest.mark.parametrize("context", [17, 64, 67, 128])
def test_half_a_width_is_never_another_size(width: int, context: int) -> None:
    config = {"emb_dim": width, "n_heads": 1, "vocab_size": 97, "context_length": context, "n_layers": 1}
    for batch, length in ((1, 1), (2, width // 8), (1, width // 2 % 40 + 1)):
        trace = gptrace.trace(ids=[[1] * length] * batch, model=Halved, config=config)
        assert dims(trace, "down")[1] == ("batch", "seq_len", str(width // 2))
        assert dims(trace, "latent")[1] == ("batch", "seq_len", str(width // 8))
        assert dims(trace, "head")[1] == ("batch", "seq_len", "vocab_size")


@pytest.mark.parametrize("make", [Longer, lambda: Longer()])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 13, 15, 16, 34])
@pytest.mark.parametrize("batch", [1, 2, 3, 8])
def test_one_more_than_seq_len_has_no_name(make: Any, length: int, batch: int) -> None:
    trace = gptrace.trace(ids=[[1] * length] * batch, model=make)
    mixed, out = dims(trace, "mix"), dims(trace, "shifted")
    assert mixed[0][:2] == ("batch", str(length + 1))
    assert out[0][:2] == ("batch", "seq_len")


def test_a_key_called_seq_len_is_not_the_prompts() -> None:
    def make(vocab_size: int = V, n_embd: int = 8, seq_len: int = 64) -> nn.Module:
        return nn.Sequential(nn.Embedding(vocab_size, n_embd), nn.Linear(n_embd, vocab_size))

    trace = gptrace.trace("Hello, I am", model=make)
    assert trace.dims == {"batch": 1, "seq_len": 4, "n_embd": 8, "vocab_size": V}


def test_keys_go_to_the_parameters_that_have_their_names() -> None:
    class Both(nn.Module):
        def __init__(self, vocab_size: int = V, emb_dim: int = 16, config: object = None) -> None:
            super().__init__()
            assert config is None
            self.emb, self.head = nn.Embedding(vocab_size, emb_dim), nn.Linear(emb_dim, vocab_size)

        def forward(self, ids: Any) -> Any:
            return self.head(self.emb(ids))

    trace = gptrace.trace("Hello", model=Both, config={"emb_dim": 12})
    assert trace.dims == {"batch": 1, "seq_len": 1, "emb_dim": 12, "vocab_size": V}


def test_a_property_of_a_configuration_follows_its_sizes() -> None:
    @dataclass
    class Config:
        n_embd: int = 32
        n_head: int = 4
        vocab_size: int = V

        @property
        def head_dim(self) -> int:
            return self.n_embd // self.n_head

    def make(config: Config) -> nn.Module:
        return nn.Sequential(
            nn.Embedding(config.vocab_size, config.n_embd), nn.Linear(config.n_embd, config.head_dim)
        )

    trace = gptrace.trace("Hello", model=make, config=Config())
    assert dims(trace, "1") == [("batch", "seq_len", "n_embd"), ("batch", "seq_len", "head_dim")]


def test_sizes_that_a_class_derives_follow_its_settings() -> None:
    class Config:
        def __init__(self, n_embd: int = 32) -> None:
            self.n_embd = n_embd
            self.d_ff = 4 * n_embd

    def make(config: Any) -> nn.Module:
        return nn.Sequential(nn.Embedding(V, config.n_embd), nn.Linear(config.n_embd, config.d_ff))

    trace = gptrace.trace("Hello", model=make, config=Config)
    assert trace.calls[-1].outputs[0].shape[-1] == 128
    from gptrace.model.user_model_call import overlaid

    changed: Any = overlaid(Config, {"n_embd": 8})
    assert (changed.n_embd, changed.d_ff) == (8, 32)


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


FILES = {
    "leaves": "def forward(self, ids):\n        import sys; sys.exit('bye')",
    "raises": "def forward(self, ids):\n        class Odd(BaseException): pass\n        raise Odd('no')",
    "parses": "def forward(self, ids):\n        import json; json.loads('{bad')",
    "hidden": "def forward(self, ids):\n        return self.emb(ids)",
    "complex": "def forward(self, ids):\n        return self.head(self.emb(ids)).to(torch.complex64)",
    "turned": "def forward(self, ids):\n        return self.head(self.emb(ids)).transpose(0, 1)",
    "plain": "def forward(self, ids):\n        return self.head(self.emb(ids))",
    "pooled": "def forward(self, ids):\n        x = self.head(self.emb(ids))\n"
    "        return x, x.mean(1, keepdim=True)",
    "named": "def forward(self, ids):\n        x = self.head(self.emb(ids))\n        return Out(x * 0, x)",
    "gradient": "def forward(self, ids):\n        x = self.head(self.emb(ids))\n"
    "        with torch.enable_grad():\n            y = x.detach().requires_grad_()\n"
    "            torch.autograd.grad(y.sum(), y)\n        return x",
}
HEAD = """
from dataclasses import dataclass
import torch
from torch import nn
@dataclass
class Out:
    other: torch.Tensor
    logits: torch.Tensor
class M(nn.Module):
    def __init__(self, n_embd=8, vocab_size=50257):
        super().__init__()
        self.emb = nn.Embedding(vocab_size, n_embd)
        self.head = nn.Linear(n_embd, vocab_size)
    """


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, forward in FILES.items():
        (tmp_path / f"odd_{name}.py").write_text(HEAD + forward)
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
    cli("run", "Hello", "-m", f"odd_{name}.py:M").is_error(1, *parts, shows="raised in the model itself")
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
    (odd / "odd_draws.py").write_text("import torch\ntorch.rand(1000)\n" + HEAD + FILES["plain"])
    torch.manual_seed(123)
    sys.path.insert(0, str(odd))
    first = gptrace.trace("Hello", model="odd_draws.py:M").predictions
    assert [c.token for c in first[0].candidates] == [
        c.token for c in gptrace.trace("Hello", model="odd_plain.py:M").predictions[0].candidates
    ]


def test_a_file_with_the_name_of_a_library(cli: Cli, odd: Path) -> None:
    for name in ("transformers", "random", "tiktoken"):
        (odd / f"{name}.py").write_text(HEAD + FILES["plain"])
        assert cli("topk", "--ids", "1", "-m", f"{name}.py:M", "--json").code == 0
    assert not hasattr(sys.modules["random"], "M")


def test_code_that_leaves_the_folder(cli: Cli, odd: Path) -> None:
    (odd / "odd_moves.py").write_text("import os\nos.chdir('/')\n" + HEAD + FILES["plain"])
    (odd / "sizes.json").write_text('{"n_embd": 6}')
    done = cli("topk", "Hello", "-m", "odd_moves.py:M", "--config", "sizes.json", "-o", "out.json")
    assert (done.code, done.err) == (0, "")
    assert (odd / "out.json").exists()


def test_code_that_keeps_printing_soils_no_data(process: Cli, tmp_path: Path) -> None:
    (tmp_path / "ticks.py").write_text(
        "import sys, threading, time\n"
        "def tick():\n    while True:\n"
        "        print('tick'); sys.__stdout__.write('tock'); time.sleep(0.001)\n"
        "threading.Thread(target=tick, daemon=True).start()\n" + HEAD + FILES["plain"]
    )
    done = process("topk", "Hello", "-m", "ticks.py:M", "--json")
    assert done.code == 0
    assert json.loads(done.out)["results"]
    assert "tick" in done.err


def test_a_constructor_that_never_ends_at_another_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gptrace.tracing.resized_runs._TIME_LIMIT", 0.3)

    class Loops(nn.Module):
        def __init__(self, emb_dim: int = 64) -> None:
            super().__init__()
            n = 0
            while 2**n != emb_dim:
                n += 1 if n < 50 else 0
            self.emb = nn.Embedding(V, emb_dim)
            self.head = nn.Linear(emb_dim, V)

        def forward(self, ids: Any) -> Any:
            return self.head(self.emb(ids))

    trace = gptrace.trace("Hello", model=Loops)
    assert trace.dims == {"batch": 1, "seq_len": 1}
    assert len(trace.predictions) == 1


def test_a_module_that_is_there_has_shapes_alone_on_device_meta(odd: Path, cli: Cli) -> None:
    (odd / "odd_there.py").write_text(HEAD + FILES["plain"] + "\nmodule = M()\n")
    trace = json.loads(cli("run", "Hello", "-m", "odd_there.py:module", "--device", "meta", "--json").out)
    assert (trace["predictions"], trace["model"]["device"]) == ([], "meta")


def test_an_exception_at_another_size_is_no_error_of_ours() -> None:
    class Picky(nn.Module):
        def __init__(self, n_embd: int = 8) -> None:
            super().__init__()
            if n_embd != 8:
                sys.exit(3)
            self.emb, self.head = nn.Embedding(V, n_embd), nn.Linear(n_embd, V)

        def forward(self, ids: Any) -> Any:
            if ids.shape != (1, 1):
                raise KeyError("only one")
            return self.head(self.emb(ids))

    trace = gptrace.trace("Hello", model=Picky)
    assert trace.notes == (
        "no axis has a name: neither batch nor seq_len can be varied, and at other sizes the model raises "
        "SystemExit",
    )
    with pytest.raises(ModelCodeError, match="KeyError: 'only one'"):
        gptrace.trace("Hello, I am", model=Picky)
