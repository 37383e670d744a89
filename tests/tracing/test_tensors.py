"""Tensors found in whatever a module takes or returns."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest

from gptrace.model.quiet_torch import torch
from gptrace.predict.logits import find_logits
from gptrace.tracing import tensors
from gptrace.tracing.arguments import argument_names, describe_arguments
from gptrace.tracing.tensors import describe_tensors


@dataclass
class Output:
    logits: torch.Tensor
    cache: Any = None


Pair = namedtuple("Pair", "left right")


def names(value: object) -> list[str]:
    return [seen.name for seen in describe_tensors("output", value)]


def test_every_kind_of_nest() -> None:
    tensor = torch.ones(2)
    assert names(tensor) == ["output"]
    assert names((tensor, [tensor, (tensor,)])) == ["output[0]", "output[1][0]", "output[1][1][0]"]
    assert names(OrderedDict(a=tensor, b={3: tensor})) == ["output.a", "output.b[3]"]
    assert names(Output(tensor, (tensor, None))) == ["output.logits", "output.cache[0]"]
    assert names(Pair(tensor, tensor)) == ["output.left", "output.right"]
    assert names([None, 3, "text", b"bytes", 2.5, object()]) == []


def test_a_list_that_holds_itself_ends() -> None:
    loop: list[object] = [torch.ones(1)]
    loop.append(loop)
    assert names(loop) == ["output[0]"]
    twice = torch.ones(1)
    assert names([[twice], [twice]]) == ["output[0][0]", "output[1][0]"]


class Endless(dict[str, Any]):
    """Its items and values never end."""

    def items(self) -> Any:
        return zip(itertools.count(), itertools.repeat(self.item))

    def values(self) -> Any:
        return itertools.repeat(self.item)

    item: Any = None


def test_containers_without_end_end() -> None:
    endless = Endless(logits=torch.ones(1, 2, 3))
    assert names(endless) == []
    endless.item = [1]
    assert names([endless, torch.ones(1)]) == ["output[1]"]
    endless.item = torch.ones(1)
    assert len(names(endless)) == len(names([torch.ones(1)] * 5000)) == 1000
    assert find_logits(endless, 1, 2).logits is endless["logits"]
    del endless["logits"]
    assert find_logits(endless, 1, 2).logits is None


def test_scalars_and_empty_tensors_keep_their_shape() -> None:
    assert [seen.shape for seen in describe_tensors("x", (torch.tensor(1.0), torch.empty(0, 3)))] == [
        (),
        (0, 3),
    ]


def test_arguments_are_named_as_forward_names_them() -> None:
    class Many(torch.nn.Module):
        def forward(self, x: object, y: object = None, *more: object, mask: object = None) -> None: ...

    tensor = torch.ones(1)
    seen = describe_arguments(argument_names(Many), (tensor, tensor, tensor, tensor), {"mask": tensor})
    assert [each.name for each in seen] == ["x", "y", "more[0]", "more[1]", "mask"]


class Cache:
    def __init__(self, layers: int) -> None:
        self.layers = [Output(torch.ones(1, 4), torch.ones(2, 4)) for _ in range(layers)]
        self._hidden = torch.ones(1)


def test_a_container_that_comes_again_is_not_described_anew() -> None:
    cache = Cache(3)
    first, again = describe_tensors("cache", cache), describe_tensors("cache", cache)
    assert [seen.name for seen in first] == [
        f"cache.layers[{layer}].{name}" for layer in range(3) for name in ("logits", "cache")
    ]
    assert all(a is b for a, b in zip(first, again, strict=True))
    cache.layers[1].logits = torch.ones(3, 4)
    assert [seen.shape[0] for seen in describe_tensors("cache", cache)] == [1, 2, 3, 2, 1, 2]


def test_keys_that_are_equal_keep_their_own_names() -> None:
    tensor = torch.ones(1)
    assert names({1: tensor}) == ["output[1]"]
    assert names({True: tensor}) == ["output[True]"]
    assert names({1.0: tensor}) == ["output[1.0]"]


def test_what_is_kept_of_values_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "_LIMIT", 50)
    monkeypatch.setattr(tensors, "_places", {})
    for size in range(200):
        assert describe_tensors(f"x{size}", [torch.empty(size)])[0].shape == (size,)
    assert len(tensors._places) <= 50


def test_a_class_is_freed_after_its_instances_were_described() -> None:
    class Local(Cache): ...

    describe_tensors("output", Local(1))
    local = weakref.ref(Local)
    del Local
    gc.collect()  # a class refers to itself
    assert local() is None
