"""Axis names where sizes and other settings lie inside of a configuration: in dicts, objects and lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

import gptrace
from gptrace.model.nested_settings import NestedSettings
from gptrace.model.quiet_torch import torch

nn = torch.nn


class Attending(nn.Module):
    """Heads of a size of their own, and a layer as wide as a factor says."""

    def __init__(self, vocabulary: int, width: int, heads: int, of_head: int, ratio: int) -> None:
        super().__init__()
        self.shape = heads, of_head
        self.emb, self.query = nn.Embedding(vocabulary, width), nn.Linear(width, heads * of_head)
        self.up, self.fourfold = nn.Linear(width, ratio * width), nn.Linear(width, 4 * width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, ids: Any) -> Any:
        x = self.emb(ids)
        self.query(x).view(*ids.shape, *self.shape)
        self.up(x), self.fourfold(x)
        return self.head(x)


@dataclass
class Attention:
    n_heads: int = 4
    each: int = 12


@dataclass
class Config:
    vocab_size: int = 50
    emb_dim: int = 48
    attention: Attention = field(default_factory=Attention)
    mlp: dict[str, int] = field(default_factory=lambda: {"ratio": 4})


class Attributes(dict[str, Any]):
    """A dict whose keys are attributes, as users write it."""

    def __init__(self, *args: Any, **keys: Any) -> None:
        super().__init__(*args, **keys)
        self.__dict__ = self


def of_dicts(cfg: Any) -> nn.Module:
    model, attention = cfg["model"], cfg["model"]["attention"]
    heads = attention["n_heads"], attention["each"]
    return Attending(model["vocab_size"], model["emb_dim"], *heads, model["mlp"]["ratio"])


def of_objects(cfg: Any) -> nn.Module:
    attention = cfg.attention
    return Attending(cfg.vocab_size, cfg.emb_dim, attention.n_heads, attention.each, cfg.mlp["ratio"])


def of_keywords(vocab_size: int, emb_dim: int, attention: Any, mlp: Any) -> nn.Module:
    return Attending(vocab_size, emb_dim, attention.n_heads, attention.each, mlp["ratio"])


def of_an_object_in_a_dict(cfg: Any) -> nn.Module:
    return of_keywords(**cfg)


INSIDE = {
    "vocab_size": 50, "emb_dim": 48, "attention": {"n_heads": 4, "each": 12}, "mlp": {"ratio": 4},
}  # fmt: skip
OBJECTS = INSIDE | {"attention": SimpleNamespace(**Attention().__dict__)}


@pytest.mark.parametrize(
    ("make", "config"),
    [
        (of_dicts, {"model": INSIDE, "training": {"steps": 100, "rates": [1, 2, 3]}}),
        (of_objects, Config()),
        (of_objects, Config),
        (of_objects, Attributes(INSIDE | {"attention": Attributes(n_heads=4, each=12)})),
        (of_objects, SimpleNamespace(**OBJECTS)),
        (of_keywords, OBJECTS),
        (of_an_object_in_a_dict, INSIDE | {"attention": Attention()}),
    ],
)
def test_settings_wherever_they_lie(make: Callable[..., nn.Module], config: Any) -> None:
    before = repr(config)
    trace = gptrace.trace(ids=[1, 2, 3], model=make, config=config, measure=["ops"])
    assert {call.path: call.outputs[0].dims[-1] for call in trace.calls} == {
        "": "vocab_size", "emb": "emb_dim", "query": "each*n_heads", "up": "ratio*emb_dim",
        "fourfold": "4*emb_dim", "head": "vocab_size",
    }  # fmt: skip
    assert repr(config) == before


class Layers(nn.Module):
    def __init__(self, cfg: dict[str, Any]) -> None:
        super().__init__()
        width = cfg["emb_dim"]
        self.emb = nn.Embedding(cfg["vocab_size"], width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, layer["rank"]), nn.Linear(layer["rank"], layer["ratio"] * width))
            for layer in cfg["layers"]
        )
        self.head = nn.Linear(width, cfg["vocab_size"])

    def forward(self, ids: Any) -> Any:
        x = self.emb(ids)
        for block in self.blocks:
            x = x + block(x)[..., : x.shape[-1]]
        return self.head(x)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ({"rank": 8, "ratio": 4}, ["rank", "ratio*emb_dim", "rank", "ratio*emb_dim"]),
        (
            {"rank": 6, "ratio": 2},
            ["layers.0.rank", "layers.0.ratio*emb_dim", "layers.1.rank", "layers.1.ratio*emb_dim"],
        ),
    ],
)
def test_layers_of_a_list_share_a_setting_only_where_they_are_equal(
    second: dict[str, int], expected: list[str]
) -> None:
    config = {"vocab_size": 50, "emb_dim": 48, "layers": [{"rank": 8, "ratio": 4}, second]}
    trace = gptrace.trace(ids=[1, 2, 3], model=Layers, config=config)
    last = {call.path: call.outputs[0].dims[-1] for call in trace.calls}
    assert [last[f"blocks.{block}.{layer}"] for block in (0, 1) for layer in (0, 1)] == expected


def test_a_name_that_two_settings_have_tells_where_they_lie() -> None:
    def make(cfg: dict[str, Any]) -> nn.Module:
        return nn.Sequential(
            nn.Embedding(cfg["vocab_size"], cfg["emb_dim"]),
            nn.Linear(cfg["emb_dim"], cfg["encoder"]["ratio"] * cfg["emb_dim"]),
            nn.Linear(cfg["encoder"]["ratio"] * cfg["emb_dim"], cfg["decoder"]["hidden_size"]),
        )

    config = {
        "vocab_size": 50, "emb_dim": 48, "encoder": {"ratio": 4, "hidden_size": 48},
        "decoder": {"ratio": 4, "hidden_size": 48},
    }  # fmt: skip
    trace = gptrace.trace(ids=[1, 2, 3], model=make, config=config)
    last = [call.outputs[0].dims[-1] for call in trace.calls[1:]]
    assert last == ["emb_dim", "encoder.ratio*emb_dim", "decoder.hidden_size"]


def test_what_a_configuration_derives_inside_follows_its_own_keys() -> None:
    class Derived:
        def __init__(self, vocab_size: int = 50, emb_dim: int = 48, n_heads: int = 4) -> None:
            self.vocab_size, self.emb_dim = vocab_size, emb_dim
            self.n_heads = n_heads
            self.attention = Attention(n_heads, emb_dim // n_heads)
            self.mlp = {"ratio": 4}

    trace = gptrace.trace(ids=[1, 2, 3], model=of_objects, config=Derived)
    last = {call.path: call.outputs[0].dims[-1] for call in trace.calls}
    assert (last["query"], last["up"]) == ("n_heads*head_dim", "ratio*emb_dim")


def test_a_configuration_may_hold_what_is_no_setting() -> None:
    holder = SimpleNamespace(file=open, module=nn.Linear(2, 2), tensor=torch.ones(2), number=2)
    itself: dict[str, Any] = {"ids": [1] * 100_000}
    itself["again"] = itself

    def make(cfg: dict[str, Any]) -> nn.Module:
        return nn.Sequential(nn.Embedding(cfg["vocab_size"], 8), nn.Linear(8, cfg["vocab_size"]))

    config = {"vocab_size": 50, "holder": holder, "itself": itself, "numbers": {0: 3, None: 4}}
    trace = gptrace.trace(ids=[1, 2, 3], model=make, config=config)
    assert trace.calls[-1].outputs[0].dims == ("batch", "seq_len", "vocab_size")


def test_a_table_of_labels_is_no_setting() -> None:
    config = {"model": {"emb_dim": 48}, "label2id": {f"label {number}": number for number in range(33)}}
    settings = NestedSettings(lambda changes: {**config, **changes}).settings
    assert {name for name, value in settings.items() if type(value) is int} == {"emb_dim"}
