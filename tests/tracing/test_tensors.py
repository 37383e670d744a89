"""Tensors found in whatever a module takes or returns."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

from gptrace.model.quiet_torch import torch
from gptrace.tracing.tensors import argument_names, describe_arguments, describe_tensors


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
