"""Modules in modules: those without an end are refused in words, or left out where nothing needs them."""

from __future__ import annotations

import re
import sys
import threading

import pytest

import gptrace
from gptrace.errors import ConfigError
from gptrace.model import module_tree
from gptrace.model.module_tree import bounded_modules, check_submodules
from gptrace.model.quiet_torch import torch
from tests.support import IDS

nn = torch.nn
V = 50257


class Child(nn.Module):
    def __init__(self, parent: object) -> None:
        super().__init__()
        self.parent = parent
        self.linear = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.linear(x)
        return y


class Parent(nn.Module):
    def __init__(self, *, is_registered: bool) -> None:
        super().__init__()
        self.emb = nn.Embedding(V, 4)
        self.first = Child(self if is_registered else [self])
        self.head = nn.Linear(4, V)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.first(self.emb(ids)))
        return logits


class Multiplied(nn.Module):
    """Its 40 lists of two equal modules are 2 ** 40 paths."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(V, 4)
        module: nn.Module = nn.Linear(4, 4)
        for _ in range(40):
            module = nn.ModuleList([module, module])
        self.lists = module

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = self.emb(ids)
        return x


def test_a_module_that_contains_itself_is_refused_where_torch_cannot_walk_through_it() -> None:
    with pytest.raises(ConfigError, match=r"first\.parent, of type Parent, contains itself"):
        gptrace.trace("Hello", model=lambda: Parent(is_registered=True))
    with pytest.raises(ConfigError, match=re.escape("self.parent = [parent]")):
        gptrace.topk("Hello", model=Parent(is_registered=True))
    assert gptrace.trace("Hello", model=Parent(is_registered=False)).error is None


def test_a_module_that_contains_itself_can_be_watched() -> None:
    model = Parent(is_registered=True)
    with gptrace.watch(model, measure=["all"]) as trace:
        model(IDS)
    assert [call.path for call in trace.calls] == ["", "emb", "first", "first.linear", "head"]
    assert trace.model.parameters.total == sum(parameter.numel() for parameter in model.parameters())
    assert trace.uncalled == ()


def test_more_paths_than_anybody_can_walk_are_refused() -> None:
    with pytest.raises(ConfigError, match="more than 1,000,000 paths"):
        gptrace.trace("Hello", model=Multiplied)
    model = Multiplied()
    with pytest.raises(ConfigError, match="hold each once"), gptrace.watch(model):
        model(IDS)


def test_a_configuration_asks_for_a_bounded_number_of_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_tree, "_MOST_MODULES", 10)
    with pytest.raises(ConfigError, match="of many asks for more than 10 modules"), bounded_modules("many"):
        nn.ModuleList(nn.Identity() for _ in range(11))
    with bounded_modules("few"):
        nn.ModuleList(nn.Identity() for _ in range(10))
        thread = threading.Thread(target=lambda: nn.ModuleList(nn.Identity() for _ in range(11)))
        thread.start()
        thread.join()
    nn.ModuleList(nn.Identity() for _ in range(11))


def test_a_shared_module_keeps_all_its_names() -> None:
    shared = nn.Linear(4, 4)
    model = nn.Sequential(nn.Sequential(shared, shared), shared)
    with gptrace.watch(model) as trace:
        model(torch.ones(1, 4))
    assert trace.model.parameters.tied == (
        ("0.0.weight", "0.1.weight", "1.weight"),
        ("0.0.bias", "0.1.bias", "1.bias"),
    )


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        module: nn.Module = nn.Embedding(V, 4)
        for _ in range(2000):
            module = nn.Sequential(module)
        self.nested = module


def test_more_levels_than_python_has_calls_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"Nested nests modules more than \d+ levels deep"):
        gptrace.Session(Nested()).trace(ids=[1, 2])


@pytest.mark.parametrize("limit", [120, 300, 301])
def test_a_recursion_limit_that_is_too_low_is_named(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(sys, "getrecursionlimit", lambda: limit)
    with pytest.raises(ConfigError, match=f"recursion limit of {limit}, .* too low to run Sequential"):
        check_submodules(nn.Sequential(nn.Embedding(V, 4)))


@pytest.mark.parametrize(
    ("registry", "name", "value", "message"),
    [
        ("_modules", 5, nn.Identity(), r"Embedding has 5, of type Identity, in its submodules"),
        ("_modules", "x", "text", r"Embedding has 'x', of type str, in its submodules"),
        ("_buffers", "x", 5, r"Embedding has 'x', of type int, in its parameters and buffers"),
    ],
)
def test_entries_that_torch_cannot_list_are_refused(
    registry: str, name: object, value: object, message: str
) -> None:
    model = nn.Embedding(V, 4)
    getattr(model, registry)[name] = value
    with pytest.raises(ConfigError, match=message):
        gptrace.Session(model).trace(ids=[1, 2])
