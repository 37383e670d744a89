"""Axis names in users' own modules: no name may be wrong, whatever the module does."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from typing import Any

import pytest

import gptrace
from gptrace.errors import ModelCodeError
from gptrace.model.quiet_torch import torch
from tests.colliding.models import Llama

nn = torch.nn
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
    from gptrace.model.configurations import overlaid

    changed: Any = overlaid(Config, {"n_embd": 8})
    assert (changed.n_embd, changed.d_ff) == (8, 32)


def test_a_constructor_that_never_ends_at_another_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends it is the number of lines that it has run: no clock, no other thread, no exception later."""
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("waited"))
    lines, built = 0, 0

    class Loops(nn.Module):
        def __init__(self, emb_dim: int = 64) -> None:
            nonlocal lines, built
            super().__init__()
            built += 1
            n = 0
            while 2**n != emb_dim:
                n = min(n + 1, 50)
                lines += 2
            self.emb = nn.Embedding(V, emb_dim)
            self.head = nn.Linear(emb_dim, V)

        def forward(self, ids: Any) -> Any:
            return self.head(self.emb(ids))

    threads, tracer = threading.active_count(), sys.gettrace()
    trace = gptrace.trace("Hello", model=Loops)
    assert (threading.active_count(), sys.gettrace()) == (threads, tracer)
    assert trace.dims == {"batch": 1, "seq_len": 1}
    assert trace.notes[0].endswith("at other sizes the model does many times the work")
    assert len(trace.predictions) == 1
    # One model for the trace and one at other sizes: the limit is one for all that would have been tried.
    assert built == 2
    assert lines < 3_000_000


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


def test_a_model_that_is_built_already_says_how_its_axes_get_names() -> None:
    built = Longer()
    trace = gptrace.trace("Hello", model=built)
    assert trace.notes[0] == (
        "only batch and seq_len have names: this model is built already; gptrace.trace(…) names all axes if "
        "it gets model=Longer, config=… instead"
    )
    with torch.inference_mode(), gptrace.watch(built) as watched:
        built(torch.ones(1, 2, dtype=torch.int64))
    assert watched.notes[0].startswith("no axis has a name: this model is built already; gptrace.trace(…)")
    with gptrace.watch(nn.Linear(2, 2)) as plain:
        nn.Linear(2, 2)(torch.ones(2))
    assert plain.notes == ()


@pytest.mark.parametrize("own", [True, False])
def test_heads_times_head_dim_is_not_the_width_where_it_may_differ(own: bool) -> None:
    config = {
        "vocab_size": 50, "emb_dim": 24, "n_heads": 3, "n_kv_groups": 3, "hidden_dim": 24, "head_dim": 8,
        "own": own, "fused": False,
    }  # fmt: skip
    trace = gptrace.trace(ids=[[1, 2, 3]], model=Llama, config=config, measure=["ops"])
    assert dims(trace, "norm")[1] == ("batch", "seq_len", "emb_dim")
    # A head_dim that the code does not read is no name.
    assert dims(trace, "att.q")[1] == ("batch", "seq_len", "n_heads*head_dim" if own else "24")
    assert dims(trace, "att.k")[1] == ("batch", "seq_len", "n_kv_groups*head_dim" if own else "24")
    attention = next(call for call in trace.calls if call.path == "att")
    views = {op.outputs[0].dims for op in attention.ops if op.name == "view"}
    assert views == {
        ("batch", "seq_len", heads, "head_dim" if own else "8") for heads in ("n_heads", "n_kv_groups")
    }
