"""Models whose sizes depend on each other in ways that only their code knows."""

from __future__ import annotations

from typing import Any

import pytest
import transformers

import gptrace
from gptrace.model.quiet_torch import torch

nn = torch.nn
CONFIG = {"vocab_size": 50, "emb_dim": 16, "n_heads": 2, "hidden_dim": 24, "context_length": 40}


class Coupled(nn.Module):
    """The width is always 8 times the number of heads."""

    def __init__(self, cfg: dict[str, Any]) -> None:
        super().__init__()
        if cfg["emb_dim"] != 8 * cfg["n_heads"]:
            raise ValueError("eight numbers for each head")
        self.emb = nn.Embedding(cfg["vocab_size"], cfg["emb_dim"])
        self.up, self.down = nn.Linear(cfg["emb_dim"], cfg["hidden_dim"]), nn.Linear(cfg["hidden_dim"], 16)
        self.head = nn.Linear(16, cfg["vocab_size"])

    def forward(self, ids: torch.Tensor) -> Any:
        return self.head(self.down(self.up(self.emb(ids))))


class WithoutBatches(Coupled):
    """No run at another batch succeeds, whatever the sizes are."""

    def forward(self, ids: torch.Tensor) -> Any:
        if ids.shape[0] != 1:
            raise ValueError("one prompt at a time")
        return super().forward(ids)


class Grouped(Coupled):
    """What its axes follow besides the sizes: the number of groups, a factor, and a width that is rounded."""

    def __init__(self, cfg: dict[str, Any]) -> None:
        super().__init__({**cfg, "emb_dim": 16})
        if cfg["n_heads"] != 2:
            raise ValueError("two heads")
        width, rounded = cfg["emb_dim"], cfg["emb_dim"] // 2 * 2
        self.emb, self.query = nn.Embedding(cfg["vocab_size"], width), nn.Linear(width, rounded)
        self.states = nn.Linear(rounded, cfg["groups"] * cfg["state_size"])
        self.up = nn.Linear(cfg["groups"] * cfg["state_size"], 2 * cfg["hidden_dim"])
        self.down = nn.Linear(2 * cfg["hidden_dim"], cfg["hidden_dim"])
        self.head = nn.Linear(cfg["hidden_dim"], cfg["vocab_size"])

    def forward(self, ids: torch.Tensor) -> Any:
        return self.head(self.down(self.up(self.states(self.query(self.emb(ids))))))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_setting_that_is_a_factor_is_named_and_a_constant_one_is_not(groups: int) -> None:
    config = CONFIG | {"groups": groups, "state_size": 6}
    trace = gptrace.trace(ids=[1, 2, 3], model=Grouped, config=config)
    last = {call.path: call.outputs[0].dims[-1] for call in trace.calls}
    assert last == {
        "": "vocab_size", "emb": "emb_dim", "query": "16", "states": "groups*state_size",
        "up": "48", "down": "hidden_dim", "head": "vocab_size",
    }  # fmt: skip


class Quotient(nn.Module):
    """A factor that is a quotient of two settings."""

    def __init__(self, cfg: dict[str, Any]) -> None:
        super().__init__()
        self.emb = nn.Embedding(cfg["vocab_size"], cfg["n_embd"])
        self.up = nn.Linear(cfg["n_embd"], cfg["aa"] // cfg["cc"] * cfg["n_embd"])
        self.head = nn.Linear(cfg["n_embd"], cfg["vocab_size"])

    def forward(self, ids: torch.Tensor) -> Any:
        x = self.emb(ids)
        self.up(x)
        return self.head(x)


@pytest.mark.parametrize("unread", range(10))
def test_a_quotient_of_two_settings_is_no_constant(unread: int) -> None:
    """Wherever the two stand among the settings: the settings that no code reads are changed together."""
    between = {f"unread_{number}": 5 for number in range(unread)}
    config = {"vocab_size": 50, "n_embd": 8, "aa": 8, **between, "cc": 2}
    trace = gptrace.trace(ids=[1, 2, 3], model=Quotient, config=config)
    (up,) = [call for call in trace.calls if call.path == "up"]
    assert up.outputs[0].dims == ("batch", "seq_len", "32")


def test_sizes_that_can_be_changed_alone_have_names_and_a_note_lists_them() -> None:
    trace = gptrace.trace("Hello, I am", model=Coupled, config={**CONFIG, "vocab_size": 50257})
    outputs = {call.path: call.outputs[0].dims for call in trace.calls}
    assert outputs["emb"] == ("batch", "seq_len", "16")
    assert outputs["up"] == ("batch", "seq_len", "hidden_dim")
    assert outputs["head"] == ("batch", "seq_len", "vocab_size")
    assert trace.notes == (
        "only some sizes have names (batch, seq_len, vocab_size, context_length, hidden_dim): the model does "
        "not run, or makes other calls, where another size is changed alone",
    )


class FewWidths(Coupled):
    """Its inner width is one of a few."""

    def __init__(self, cfg: dict[str, Any]) -> None:
        if cfg["hidden_dim"] > 200:
            raise ValueError("too wide")
        super().__init__(cfg)


def test_a_size_that_can_be_changed_in_one_way_only_has_no_name() -> None:
    trace = gptrace.trace(ids=[1, 2, 3], model=FewWidths, config=CONFIG)
    outputs = {call.path: call.outputs[0].dims for call in trace.calls}
    assert outputs["up"] == ("batch", "seq_len", "24")
    assert outputs["head"] == ("batch", "seq_len", "vocab_size")


def test_a_model_that_does_not_run_at_another_batch_has_no_such_names() -> None:
    trace = gptrace.trace(ids=[1, 2, 3], model=WithoutBatches, config=CONFIG)
    assert trace.calls[-1].outputs[0].dims == ("1", "seq_len", "50")
    start, line = trace.notes[0].split(", at ")
    assert start == "only seq_len has a name: with 11 prompts the model raises ValueError"
    assert line.endswith('in forward: raise ValueError("one prompt at a time")')


def test_a_note_names_the_line_that_refuses_another_batch() -> None:
    class PositionsOfPrompts(nn.Module):
        def __init__(self, cfg: dict[str, int]) -> None:
            super().__init__()
            self.emb, self.pos = nn.Embedding(cfg["vocab_size"], 8), nn.Embedding(64, 8)
            self.head = nn.Linear(8, cfg["vocab_size"])

        def forward(self, ids: torch.Tensor) -> Any:
            x = self.emb(ids)
            return self.head(x + self.pos(torch.arange(ids.shape[0])))

    for model in (PositionsOfPrompts, PositionsOfPrompts(CONFIG)):
        config = CONFIG if isinstance(model, type) else None
        trace = gptrace.trace(ids=[1, 2, 3], model=model, config=config)
        start, line = trace.notes[0].split(", at ")
        assert start == "only seq_len has a name: with 11 prompts the model raises RuntimeError"
        assert line.endswith("in forward: return self.head(x + self.pos(torch.arange(ids.shape[0])))")


@pytest.mark.parametrize("heads", [4, 8])
def test_a_model_of_transformers_whose_heads_come_in_fours(heads: int) -> None:
    config = transformers.CodeGenConfig(
        vocab_size=100, n_positions=32, n_embd=16 * heads, n_head=heads, n_layer=1, rotary_dim=8,
        bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    model = transformers.CodeGenForCausalLM(config).eval()
    with torch.no_grad(), gptrace.watch(model) as trace:
        model(torch.ones(2, 5, dtype=torch.long), use_cache=False)
    outputs = {call.path: call.outputs[0].dims for call in trace.calls if call.outputs}
    assert outputs["lm_head"] == ("batch", "seq_len", "vocab_size")
    assert outputs["transformer.wte"] == ("batch", "seq_len", "n_embd")
    assert trace.notes[0].startswith("only some sizes have names (batch, seq_len, n_embd, vocab_size")
