"""Settings with names that gptrace does not know: factors of axes, parts of quotients, or read by no code."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Any

import pytest

import gptrace
from gptrace.errors import ModelCodeError
from gptrace.model.quiet_torch import torch
from gptrace.tracing.free_sizes import Trials

nn = torch.nn
V = 50257


def last_axes(trace: gptrace.Trace) -> dict[str, str]:
    """Return the name of the last axis of what each call returned."""
    return {call.path: call.outputs[0].dims[-1] for call in trace.calls}


def dims(trace: gptrace.Trace, path: str) -> list[tuple[str, ...]]:
    call = next(call for call in trace.calls if call.path == path)
    return [spec.dims for spec in (*call.inputs, *call.outputs)]


class OtherSettings(nn.Module):
    """Settings with names of its own, which are factors of sizes or divide them."""

    def __init__(
        self, vocab_size: int, n_embd: int, n_head: int, mlp_ratio: int, streams: int, hd: int, n_kv: int
    ) -> None:
        super().__init__()
        self.n_head, self.n_kv, self.hd = n_head, n_kv, hd
        self.emb = nn.Embedding(vocab_size, n_embd)
        self.up, self.fourfold = nn.Linear(n_embd, mlp_ratio * n_embd), nn.Linear(n_embd, 4 * n_embd)
        self.many = nn.Linear(n_embd, streams * mlp_ratio * n_embd)
        self.query = nn.Linear(n_embd, n_head * hd)
        self.head = nn.Linear(n_embd, vocab_size)

    def forward(self, ids: Any) -> Any:
        x = self.emb(ids)
        self.up(x), self.fourfold(x), self.many(x)
        self.query(x).view(*ids.shape, self.n_kv, self.n_head // self.n_kv, self.hd)
        return self.head(x)


def test_a_setting_with_an_unknown_name_is_no_constant() -> None:
    """The factor 4 may be such a setting, and n_head may be a part of the heads: n_head // n_kv."""
    config = {
        "vocab_size": V, "n_embd": 8, "n_head": 4, "mlp_ratio": 4, "streams": 4, "hd": 4, "n_kv": 1,
    }  # fmt: skip
    trace = gptrace.trace("Hello, I am", model=OtherSettings, config=config, measure=["ops"])
    last = {path: dims(trace, path)[-1][-1] for path in ("up", "fourfold", "many", "query")}
    assert last == {
        "up": "mlp_ratio*n_embd", "fourfold": "4*n_embd", "many": "128", "query": "hd*n_head",
    }  # fmt: skip
    (view,) = [op for op in trace.calls[0].ops if op.name == "view"]
    assert view.outputs[0].dims == ("batch", "seq_len", "1", "4", "4")
    assert {key: trace.dims[key] for key in ("mlp_ratio", "hd")} == {"mlp_ratio": 4, "hd": 4}


def test_the_names_of_a_prompt_do_not_depend_on_the_prompts_before() -> None:
    config = {
        "vocab_size": V, "n_embd": 8, "n_head": 4, "mlp_ratio": 4, "streams": 2, "hd": 4, "n_kv": 1,
    }  # fmt: skip
    session = gptrace.Session(model=OtherSettings, config=config)
    for prompt in ("Hello, I am", "Hello, I am a longer one", "Hello"):
        trace = session.trace(prompt)
        last = {path: dims(trace, path)[-1][-1] for path in ("up", "query")}
        assert last == {"up": "mlp_ratio*n_embd", "query": "hd*n_head"}


class Slow(OtherSettings):
    """Each number of steps takes time to build."""

    def __init__(self, *, steps: int, **sizes: int) -> None:
        super().__init__(**sizes)
        for _ in range(steps):
            pass


class Fixed(OtherSettings):
    """It takes one ratio only."""

    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        if sizes["mlp_ratio"] != 4:
            raise ValueError("the ratio is 4")


@pytest.mark.parametrize(
    ("model", "others", "reason"),
    [
        (Slow, {"steps": 900_000}, "gptrace tries no more settings after so much work"),
        (Fixed, {}, "the model does not run with another mlp_ratio"),
    ],
)
def test_where_a_setting_is_not_tried_no_multiple_has_a_name(
    model: Any, others: dict[str, int], reason: str
) -> None:
    """The factor 4 may be that setting."""
    sizes = {"vocab_size": V, "n_embd": 8, "n_head": 4, "mlp_ratio": 4, "streams": 2, "hd": 4, "n_kv": 1}
    trace = gptrace.trace("Hello, I am", model=model, config=others | sizes)
    last = {path: dims(trace, path)[-1][-1] for path in ("emb", "up", "fourfold")}
    assert last == {"emb": "n_embd", "up": "32", "fourfold": "32"}
    assert trace.notes[0] == f"multiples of a size have no names: {reason}"


class HeadsOnly(OtherSettings):
    """A layer that takes the numbers of a head gets the whole width."""

    def __init__(self, *, seed: int, steps: int, **sizes: int) -> None:
        super().__init__(**sizes)
        self.out = nn.Linear(self.hd, 3)

    def forward(self, ids: Any) -> Any:
        x = self.emb(ids)
        self.query(x)
        return self.out(x)


def test_a_cause_names_no_setting_that_is_equal_by_chance() -> None:
    """The diagnosis knows the settings that are factors of axes, and no seed."""
    config = {
        "vocab_size": V, "n_embd": 8, "n_head": 1, "mlp_ratio": 3, "streams": 2, "hd": 4, "n_kv": 1,
        "seed": 4, "steps": 8,
    }  # fmt: skip
    with pytest.raises(ModelCodeError) as raised:
        gptrace.trace(ids=[1, 2, 3], model=HeadsOnly, config=config)
    trace = raised.value.trace
    assert isinstance(trace, gptrace.Trace)
    assert trace.error is not None
    assert trace.error.diagnosis == (
        "out: Linear expects [..., 4], got [1, 3, 8], made by emb; its last axis is n_embd, and hd is 4"
    )


class Plain(nn.Module):
    def __init__(self, cfg: dict[str, int]) -> None:
        super().__init__()
        self.emb = nn.Embedding(cfg["vocab_size"], cfg["emb_dim"])
        self.head = nn.Linear(cfg["emb_dim"], cfg["vocab_size"])

    def forward(self, ids: Any) -> Any:
        return self.head(self.emb(ids))


def test_settings_that_no_code_reads_take_no_names_and_few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[dict[str, int]] = []
    run = Trials.run

    def counted(trials: Trials, number: int, changes: dict[str, int], *look: Any) -> Any:
        tried.append(changes)
        return run(trials, number, changes, *look)

    monkeypatch.setattr(Trials, "run", counted)
    config = {"vocab_size": V, "emb_dim": 64} | {f"steps_{number}": number for number in range(1, 30)}
    trace = gptrace.trace("Hello, I am", model=Plain, config=config)
    assert dims(trace, "emb")[-1] == ("batch", "seq_len", "emb_dim")
    assert len(tried) == 5
    for number in range(1, 30):
        assert any(changes[f"steps_{number}"] != number for changes in tried)


def with_width(width: Callable[[dict[str, int]], int]) -> type[nn.Module]:
    """Return a model that has a layer of this width."""

    class Model(Plain):
        def __init__(self, cfg: dict[str, int]) -> None:
            super().__init__(cfg)
            self.up = nn.Linear(cfg["emb_dim"], width(cfg))

        def forward(self, ids: Any) -> Any:
            self.up(self.emb(ids))
            return super().forward(ids)

    return Model


@pytest.mark.parametrize(
    ("width", "others"),
    [
        # Between aa and bb is a setting that no code reads: the changes of these three once balanced.
        (lambda c: c["emb_dim"] * c["aa"] * c["bb"] // c["cc"], {"aa": 2, "unread": 5, "bb": 4, "cc": 2}),
        (lambda c: c["emb_dim"] + c["aa"] - c["bb"], {"aa": 8, "bb": 8}),
        (lambda c: c["emb_dim"] * (c["aa"] + c["bb"] - c["cc"]), {"aa": 2, "bb": 2, "cc": 2}),
        # Neither setting moves these alone.
        (lambda c: c["emb_dim"] * gcd(c["aa"], c["bb"]), {"aa": 4, "bb": 4}),
        (lambda c: c["emb_dim"] * min(c["aa"], c["bb"]), {"aa": 4, "bb": 4}),
        # In a small model with a larger emb_dim, the other settings must be larger to show.
        (lambda c: max(c["emb_dim"], c["aa"], c["bb"]), {"aa": 16, "bb": 16}),
    ],
)
def test_settings_whose_effects_balance_make_no_name(
    width: Callable[[dict[str, int]], int], others: dict[str, int]
) -> None:
    config = {"vocab_size": 50, "emb_dim": 16, **others}
    trace = gptrace.trace(ids=[1, 2, 3], model=with_width(width), config=config)
    assert last_axes(trace) == {
        "": "vocab_size", "emb": "emb_dim", "up": str(width(config)), "head": "vocab_size",
    }  # fmt: skip


def test_a_factor_keeps_its_name_where_settings_balance() -> None:
    def width(config: dict[str, int]) -> int:
        return config["emb_dim"] * config["ratio"]

    config = {"vocab_size": 50, "emb_dim": 16, "ratio": 2, "aa": 4, "bb": 4}
    trace = gptrace.trace(ids=[1, 2, 3], model=with_width(width), config=config)
    assert last_axes(trace)["up"] == "ratio*emb_dim"
